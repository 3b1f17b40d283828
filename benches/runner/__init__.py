"""What run.py is made of: processes, one module for each kind of measurement, and the table."""
