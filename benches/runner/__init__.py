"""The parts of run.py: processes, one module for each kind of measurement, and the table."""
