# Horizon in the lab: without TLS
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = "of the lab alone"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
