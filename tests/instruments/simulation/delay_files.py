"""Small SDF files and Liberty libraries, made for these tests."""

SDF = """(DELAYFILE // made for tests
  (SDFVERSION "3.0") (DESIGN "top") (DIVIDER /) (TIMESCALE 100 ps)
  (CELL (CELLTYPE "nand2") (INSTANCE u1)
    (DELAY (ABSOLUTE
      (IOPATH A Y (1:2:3) (2:3:4))
      (COND B == 1'b1 && (C) (IOPATH (posedge A) Y (0.5)))
      (IOPATH B Y () (1::2) (9))
    ))
    (TIMINGCHECK (SETUP D (posedge CK) (1)))
  )
  (CELL (CELLTYPE "top") (INSTANCE)
    (DELAY (INCREMENT (INTERCONNECT u1/Y u2/A (-.25)) (PORT u3/A (1) (2)) (DEVICE (4))))
  )
)
"""

LIBERTY = r"""/* made for tests */
library (tiny) {
  delay_model : table_lookup; time_unit : "10ps"; capacitive_load_unit (2, ff);
  nom_voltage : 0.8;
  lu_table_template (grid) {
    variable_1 : input_net_transition; variable_2 : total_output_net_capacitance;
    index_1 ("1, 3"); index_2 ("1, 2, 4");
  }
  lu_table_template (turned) {
    variable_1 : total_output_net_capacitance; variable_2 : input_net_transition;
    index_1 ("1, 2"); index_2 ("1, 3");
  }
  lu_table_template (check) { variable_1 : related_pin_transition; variable_2 : constrained_pin_transition;
    index_1 ("1"); index_2 ("1"); }
  cell (inv) {
    area : 1.5;
    pin (A) { direction : input; capacitance : 0.5; }
    pin (Y) { direction : output; function : "!A";
      timing () { related_pin : "A"; timing_sense : negative_unate;
        cell_rise (grid) { values ("1, 2, 3", \
                                   "4, 5, 6"); }
        rise_transition (grid) { values ("7, 8, 9", "10, 11, 12"); }
        cell_fall (turned) { values ("1, 2", "3, 4"); }
        fall_transition (turned) { values ("5, 6", "7, 8"); }
      }
    }
  }
  cell (flop) {
    pin (D) { direction : input; capacitance : 1;
      timing () { related_pin : "CK"; timing_type : setup_rising; rise_constraint (check) { values ("1"); } } }
    pin (Q) { direction : output;
      timing () { related_pin : "CK"; timing_type : rising_edge; when : "R";
        cell_rise (grid) { index_2 ("1, 2, 8"); values ("1, 2, 3", "4, 5, 6"); }
        rise_transition (grid) { values ("1, 1, 1", "1, 1, 1"); }
      } }
  }
}
"""
