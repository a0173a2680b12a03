"""The lab's vCenter: a SOAP server on pyVmomi's own types whose machines really run, in QEMU.

For tests and demos. `lab/vcenter/start` starts it, `lab/vcenter/stop` stops it; machines that are switched on stay on
and are taken up again by the next start. `lab/vcenter/second` starts and stops another one beside it.

    __main__         starts everything in order
    context          what all parts share: settings, objects, sessions, faults, the disk table
    server, soap     HTTPS and XML; soap finds the managed object and calls its method
    managed          the base of managed objects: properties, stamps of their changes, SOAP methods
    service, sessions, collector, views, search, tasks, access     the service's own objects
    inventory        puts places and machines together, from inventory.yaml and by tests' wishes
    virtual_machine  machines as the API shows them, in layers: machine_view, power, snapshot_control, virtual_machine
    hardware, snapshots, changed_areas, guest_info, export     what these are made of
    places           datacenters, clusters, hosts, folders, networks, datastores
    faults           calls that a test wants to fail
    machine/         machines as they are: QEMU, chains of disk layers, the channel into the guest. No vSphere in there
    vmfs             what the hosts' SSH servers show of the machines' disks; lab/esx starts those servers
    disk_table       what the stand-in disk library may open, and what it shall do wrong
    sidedoor, sidedoor_client       what a test may do behind the API's back
"""
