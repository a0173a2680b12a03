"""The operations of each kind of resource: the one place that knows both."""

from collections.abc import Mapping

from longshore.tenancy.operations import Operations
from longshore.tenancy.services import compute, identity, image, load_balancer, network, routers, security

OPERATIONS: Mapping[str, type[Operations]] = {
    "domain": identity.Domains,
    "role": identity.IdentityOperations,
    "project": identity.Projects,
    "user": identity.Users,
    "group": identity.Groups,
    "role assignment": identity.RoleAssignments,
    "role grant": identity.RoleGrants,
    "quota": identity.Quotas,
    "key pair": compute.Keypairs,
    "flavor": compute.Flavors,
    "server group": compute.ServerGroups,
    "volume type": compute.VolumeTypes,
    "address group": security.AddressGroups,
    "security group": security.SecurityGroups,
    "security group rule": security.SecurityGroupRules,
    "qos policy": network.QosPolicies,
    "network": network.Networks,
    "address scope": network.NetworkOperations,
    "subnet pool": network.NetworkOperations,
    "segment": network.NetworkOperations,
    "network flavor": network.NetworkOperations,
    "firewall group": network.NetworkOperations,
    "subnet": network.Subnets,
    "router": routers.Routers,
    "router interface": routers.RouterInterfaces,
    "port": network.Ports,
    "trunk": network.Trunks,
    "floating ip": network.FloatingIps,
    "rbac policy": network.RbacPolicies,
    "load balancer flavor": load_balancer.OctaviaOperations,
    "load balancer": load_balancer.LoadBalancers,
    "load balancer pool": load_balancer.Pools,
    "listener": load_balancer.Listeners,
    "load balancer member": load_balancer.Members,
    "health monitor": load_balancer.HealthMonitors,
    "l7 policy": load_balancer.L7Policies,
    "l7 rule": load_balancer.Nested,
    "image": image.Images,
}
