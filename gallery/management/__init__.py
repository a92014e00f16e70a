"""How the commands of manage.py speak (`sentences`). May import Django and worker, and no view of the site."""
