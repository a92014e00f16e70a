"""What stands between the server and Django, as ASGI applications around one another: proxies, and what answers carry.

May import Django's settings, uvicorn and asgiref's types; of the project the rest of babelia.
"""
