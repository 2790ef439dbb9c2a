"""A table of widths and one of registration errors."""

WIDTHS = """# scale: mask
# sites: 2
mask_id,site_id,x_um,y_um,target_nm,meas_nm,sigma_nm,orientation,tone,tool,ts,Recipe
M1,A1,-100.5,200,400,401.5,0.25,x,clear,CD-SEM,2024-05-01T10:00:00Z,r7
M1,A2,100.5,200,400,,,y,clear,CD-SEM,2024-05-01T10:00:10Z,r7
"""
REGISTRATION = """# scale: wafer
# magnification: 4x
# correction: magnification, rotation
Site;X [mm];Y [mm];dx (nm);dy (nm)
B1;1.5;-2;0.5;-1.25
"""
