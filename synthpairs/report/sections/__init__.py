"""The parts of the report page, one module each: the home of its prose."""
