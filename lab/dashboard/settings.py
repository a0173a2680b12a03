# Horizon in the lab: the lab's Keystone, and no TLS
ALLOWED_HOSTS = ["127.0.0.1"]
SECRET_KEY = "of the lab alone"
OPENSTACK_KEYSTONE_URL = "http://127.0.0.1:5000/v3"
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_SECURE = False
CSRF_COOKIE_SECURE = False
