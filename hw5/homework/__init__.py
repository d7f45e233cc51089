"""The homework around the sections: the report, the archive to hand in, and the grading."""
