"""Studies: many small trainings of one recipe, each changed in one place, scored alike and compared."""
