"""The commands of manage.py, one file each. May import babelia.services and worker; torch only as a command runs."""
