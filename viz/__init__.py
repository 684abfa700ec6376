"""Pictures and pages: the gallery's map, explored data, session reports, evaluation plots, training curves."""
