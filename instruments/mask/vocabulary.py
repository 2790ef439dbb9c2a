"""What mask and wafer inspection, metrology and layout files are read into, whatever tool wrote them.

Lengths are micrometres on the sample itself (a mask's own scale, not the wafer's), sizes of features nanometres.
"""

from instruments.vocabulary import Column, Vocabulary

MASK_DEFECT = Vocabulary(
    "mask_defect",
    "one defect of an inspection",
    (
        Column("defect_id", "integer", "", "the tool's number of the defect", required=True),
        Column("x_um", "number", "um", "position from the centre of the sample, as the frame in the metadata says"),
        Column("y_um", "number", "um", "position from the centre of the sample, as the frame in the metadata says"),
        Column("x_die_um", "number", "um", "position from the origin of its die"),
        Column("y_die_um", "number", "um", "position from the origin of its die"),
        Column("die_x", "integer", "", "column of its die, counted from the reference die"),
        Column("die_y", "integer", "", "row of its die, counted from the reference die"),
        Column("layout_x_um", "number", "um", "position in the layout, as the tool gives it"),
        Column("layout_y_um", "number", "um", "position in the layout, as the tool gives it"),
        Column("size_um", "number", "um", "size, as the tool defines it"),
        Column("size_x_um", "number", "um", "width of its bounding box"),
        Column("size_y_um", "number", "um", "height of its bounding box"),
        Column("area_um2", "number", "um2", "area"),
        Column("class_number", "number", "", "the class it was given"),
        Column("class_name", "text", "", "the class's name in the file's own table"),
        Column("test_number", "number", "", "the inspection test that found it"),
        Column("cluster_number", "number", "", "the cluster it belongs to; 0 for none"),
        Column("rough_bin", "number", "", "rough bin"),
        Column("fine_bin", "number", "", "fine bin"),
        Column("review_sample", "number", "", "whether and why it was sampled for review"),
        Column("image_count", "integer", "", "images of it that the file names"),
        Column("images", "text", "", "its images as JSON: [file, index or type, …] each"),
    ),
)

METROLOGY_SITE = Vocabulary(
    "metrology_site",
    "one measured site of a mask: a line width, a registration error, or both",
    (
        Column("mask_id", "text", "", "the mask"),
        Column("site_id", "text", "", "the site's name", required=True),
        Column("x_um", "number", "um", "position on the mask, mask scale", required=True),
        Column("y_um", "number", "um", "position on the mask, mask scale", required=True),
        Column("target_nm", "number", "nm", "the designed width, mask scale"),
        Column("measured_nm", "number", "nm", "the measured width, mask scale"),
        Column("sigma_nm", "number", "nm", "one standard deviation of the measured width"),
        Column("dx_nm", "number", "nm", "registration error in x, mask scale"),
        Column("dy_nm", "number", "nm", "registration error in y, mask scale"),
        Column("dx_sigma_nm", "number", "nm", "one standard deviation of the registration error in x"),
        Column("dy_sigma_nm", "number", "nm", "one standard deviation of the registration error in y"),
        Column("orientation", "text", "", "x, y, or an angle: the direction across which the width is measured"),
        Column("tone", "text", "", "clear or opaque"),
        Column("layer", "text", "", "the layer of the feature"),
        Column("feature", "text", "", "line, space, contact, …"),
        Column("measured_at", "text", "", "date and time of the measurement, ISO 8601"),
        Column("tool", "text", "", "the metrology tool"),
    ),
)

LAYOUT_CELL = Vocabulary(
    "layout_cell",
    "one cell of a layout; counts are of what the cell itself holds, not of the cells in it",
    (
        Column("cell", "text", "", "the cell's name", required=True),
        Column("is_top", "flag", "", "no other cell refers to it", required=True),
        Column("level", "integer", "", "longest path of references below it; 0 for a cell without references"),
        Column("polygons", "integer", "", "polygons and boxes", required=True),
        Column("paths", "integer", "", "paths", required=True),
        Column("texts", "integer", "", "texts", required=True),
        Column("references", "integer", "", "references to other cells, an array counted once", required=True),
        Column("placements", "integer", "", "references with each element of an array counted", required=True),
        Column("left_um", "number", "um", "bounding box with all cells below it"),
        Column("bottom_um", "number", "um", "bounding box with all cells below it"),
        Column("right_um", "number", "um", "bounding box with all cells below it"),
        Column("top_um", "number", "um", "bounding box with all cells below it"),
    ),
)

LAYOUT_POLYGON = Vocabulary(
    "layout_polygon",
    "one polygon of a clip",
    (
        Column("level", "text", "", "the level that it is on", required=True),
        Column("vertices", "integer", "", "how many it has", required=True),
        Column("left_um", "number", "um", "bounding box", required=True),
        Column("bottom_um", "number", "um", "bounding box", required=True),
        Column("right_um", "number", "um", "bounding box", required=True),
        Column("top_um", "number", "um", "bounding box", required=True),
        Column("area_um2", "number", "um2", "area within its outline", required=True),
        Column("points_nm", "text", "", "its vertices in nanometres as JSON: [x, y] each", required=True),
    ),
)

LAYOUT_LAYER = Vocabulary(
    "layout_layer",
    "one layer and datatype of a layout",
    (
        Column("layer", "integer", "", "layer number", required=True),
        Column("datatype", "integer", "", "datatype number, the type number of texts", required=True),
        Column("layer_name", "text", "", "its name in the file"),
        Column("polygons", "integer", "", "polygons and boxes, each cell counted once", required=True),
        Column("paths", "integer", "", "paths, each cell counted once", required=True),
        Column("texts", "integer", "", "texts, each cell counted once", required=True),
        Column("flat_shapes", "number", "", "shapes when the top cells are flattened", required=True),
    ),
)
