"""Tools for the homework: the report, the archive to hand in, and the grading."""
