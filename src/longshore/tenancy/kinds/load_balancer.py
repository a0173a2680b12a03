"""The kinds of the load-balancer service (Octavia), which OS-Migrate doesn't have."""

from dataclasses import replace

from longshore.tenancy.forms import (
    address,
    at_least,
    between,
    boolean,
    cidr,
    list_of,
    mapping,
    number,
    one_of,
    reference,
    text,
)
from longshore.tenancy.kind import Field, ResourceKind, Scope, ref
from longshore.tenancy.kinds.network import DESCRIPTION, NAME
from longshore.tenancy.normal import by_text, provider, texts

SERVICE = "load_balancer"
_INFO = ("created_at", "id", "operating_status", "project_id", "provisioning_status", "updated_at")
_ON = Field("is_admin_state_up", boolean, update=True)
_ON_WHEN_WHOLE = replace(_ON, late=True, whole=True)
_PORT = between(1, 65535)
_TIMEOUT = between(0, 365 * 24 * 3600 * 1000)  # ms
_PROTOCOLS = ("HTTP", "HTTPS", "TCP", "UDP", "SCTP", "TERMINATED_HTTPS", "PROMETHEUS")

FLAVOR = ResourceKind(
    "load balancer flavor",
    "load_balancer_flavors",
    "openstack.load_balancer.Flavor",
    SERVICE,
    (NAME,),
    scope=Scope.CLOUD,
    find_only=True,
)

LOAD_BALANCER = ResourceKind(
    "load balancer",
    "load_balancers",
    "openstack.load_balancer.LoadBalancer",
    SERVICE,
    (
        NAME,
        DESCRIPTION,
        _ON,
        Field("availability_zone", text, dispensable=True),
        Field("provider", text, order=provider, dispensable=True),
        Field("vip_address", address),
        ref("flavor_ref", "load balancer flavor", dispensable=True),
        ref("network_ref", "network", sdk="vip_network_id"),  # called so, it says which of several subnets is meant
        ref("vip_subnet_ref", "subnet"),
        ref("vip_qos_policy_ref", "qos policy", update=True, dispensable=True),
        Field(
            "vip_sg_refs",
            list_of(reference),
            sdk="vip_sg_ids",
            refs={"vip_sg_refs": "security group"},
            update=True,
            quiet=True,  # not every version of the service knows it
            order=by_text,
        ),
    ),
    info=(*_INFO, "vip_port_id"),
    not_carried=("additional_vips", "tags"),
    after=("subnet",),
)

POOL = ResourceKind(
    "load balancer pool",
    "load_balancer_pools",
    "openstack.load_balancer.Pool",
    SERVICE,
    (
        NAME,
        DESCRIPTION,
        _ON,
        Field(
            "lb_algorithm",
            one_of("ROUND_ROBIN", "LEAST_CONNECTIONS", "SOURCE_IP", "SOURCE_IP_PORT"),
            required=True,
            update=True,
        ),
        Field("protocol", one_of("HTTP", "HTTPS", "PROXY", "PROXYV2", "SCTP", "TCP", "UDP"), required=True),
        Field("session_persistence", mapping, update=True, order=texts),
        Field("tls_enabled", boolean, update=True),
        Field("tls_ciphers", text, update=True),
        Field("tls_versions", list_of(text), update=True, quiet=True, order=by_text),
        Field("ca_tls_container_ref", text, update=True, of_key_manager=True),
        Field("crl_container_ref", text, update=True, of_key_manager=True),
        ref("load_balancer_ref", "load balancer", sdk="loadbalancer_id", required=True),
    ),
    info=_INFO,
    not_carried=("alpn_protocols", "tags"),
    key=("loadbalancer_id", "name"),
    parent="load_balancer_ref",
)

LISTENER = ResourceKind(
    "listener",
    "listeners",
    "openstack.load_balancer.Listener",
    SERVICE,
    (
        NAME,
        DESCRIPTION,
        _ON_WHEN_WHOLE,
        Field("protocol", one_of(*_PROTOCOLS), required=True),
        Field("protocol_port", _PORT, required=True),
        Field("allowed_cidrs", list_of(cidr), update=True, quiet=True, order=by_text),
        Field("alpn_protocols", list_of(text), update=True, quiet=True, order=by_text),
        Field("connection_limit", at_least(-1), update=True),
        Field("insert_headers", mapping, update=True, quiet=True, order=texts),
        Field("timeout_client_data", _TIMEOUT, update=True),
        Field("timeout_member_connect", _TIMEOUT, update=True),
        Field("timeout_member_data", _TIMEOUT, update=True),
        Field("timeout_tcp_inspect", _TIMEOUT, update=True),
        # Containers of the cloud's own key manager: not carried, to be edited
        Field("default_tls_container_ref", text, update=True, of_key_manager=True),
        Field("sni_container_refs", list_of(text), update=True, quiet=True, order=by_text, of_key_manager=True),
        # Which clients may connect: those with certificates of that authority, which aren't revoked by that list
        Field("client_authentication", one_of("NONE", "OPTIONAL", "MANDATORY")),
        Field("client_ca_tls_container_ref", text, of_key_manager=True),
        Field("client_crl_container_ref", text, of_key_manager=True),
        Field("tls_ciphers", text, update=True),
        Field("tls_versions", list_of(text), update=True, quiet=True, order=by_text),
        ref("default_pool_ref", "load balancer pool", update=True, dispensable=True),
        ref("load_balancer_ref", "load balancer", required=True),
    ),
    info=_INFO,
    not_carried=("hsts_max_age", "is_hsts_include_subdomains", "is_hsts_preload", "tags"),
    key=("load_balancer_id", "name"),
    parent="load_balancer_ref",
)

MEMBER = ResourceKind(
    "load balancer member",
    "load_balancer_members",
    "openstack.load_balancer.Member",
    SERVICE,
    (
        Field("name", text, update=True, dispensable=True),
        Field("address", address, required=True),
        Field("protocol_port", _PORT, required=True),
        Field("weight", between(0, 256), update=True),
        Field("backup", boolean, update=True),
        _ON,
        Field("monitor_address", address, update=True),
        Field("monitor_port", _PORT, update=True),
        ref("pool_ref", "load balancer pool", required=True),
        # The subnet's, which other networks' may be called as
        ref("network_ref", "network", compare=False, sent=False, dispensable=True),
        ref("subnet_ref", "subnet"),
    ),
    info=_INFO,
    not_carried=("tags",),
    key=("pool_id", "address", "protocol_port"),
    parent="pool_ref",
)

HEALTH_MONITOR = ResourceKind(
    "health monitor",
    "health_monitors",
    "openstack.load_balancer.HealthMonitor",
    SERVICE,
    (
        Field("name", text, update=True, dispensable=True),
        _ON,
        Field("type", one_of("HTTP", "HTTPS", "PING", "SCTP", "TCP", "TLS-HELLO", "UDP-CONNECT"), required=True),
        Field("delay", at_least(1), required=True, update=True),
        Field("timeout", at_least(1), required=True, update=True),
        Field("max_retries", between(1, 10), required=True, update=True),
        Field("max_retries_down", between(1, 10), update=True),
        Field("http_method", text, update=True),
        Field("url_path", text, update=True),
        Field("expected_codes", text, update=True),
        Field("http_version", number, update=True),
        Field("domain_name", text, update=True),
        ref("pool_ref", "load balancer pool", required=True),
    ),
    info=_INFO,
    not_carried=("tags",),
    key=("pool_id",),
    parent="pool_ref",
)

L7_POLICY = ResourceKind(
    "l7 policy",
    "l7_policies",
    "openstack.load_balancer.L7Policy",
    SERVICE,
    (
        NAME,
        DESCRIPTION,
        _ON_WHEN_WHOLE,
        Field(
            "action",
            one_of("REDIRECT_PREFIX", "REDIRECT_TO_POOL", "REDIRECT_TO_URL", "REJECT"),
            required=True,
            update=True,
        ),
        Field("position", at_least(1), update=True),
        Field("redirect_prefix", text, update=True),
        Field("redirect_url", text, update=True),
        Field("redirect_http_code", one_of(301, 302, 303, 307, 308), update=True),
        ref("listener_ref", "listener", required=True),
        ref("redirect_pool_ref", "load balancer pool", update=True),
    ),
    info=_INFO,
    not_carried=("tags",),
    key=("listener_id", "name"),
    parent="listener_ref",
    in_turn="position",
)

L7_RULE = ResourceKind(
    "l7 rule",
    "l7_rules",
    "openstack.load_balancer.L7Rule",
    SERVICE,
    (
        Field("compare_type", one_of("CONTAINS", "ENDS_WITH", "EQUAL_TO", "REGEX", "STARTS_WITH"), required=True),
        Field("invert", boolean, update=True),
        _ON,
        Field("key", text),
        Field("rule_value", text, required=True),
        Field("type", text, required=True),
        ref("l7_policy_ref", "l7 policy", required=True),
    ),
    info=_INFO,
    not_carried=("tags",),
    key=("l7_policy_id", "type", "compare_type", "key", "rule_value"),
    parent="l7_policy_ref",
)

KINDS = (LOAD_BALANCER, POOL, LISTENER, MEMBER, HEALTH_MONITOR, L7_POLICY, L7_RULE, FLAVOR)
