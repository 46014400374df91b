"""Attacks by sockets: the host's network, its services, the kernel behind them."""

from r1ci_plugins.sandbox.checks.attacks.attack import Attack, register_in
from r1ci_plugins.sandbox.checks.attacks.host import host_abstract_socket, host_listener

ATTACKS: list[Attack] = []
attack = register_in(ATTACKS)


attack(
    "connect-to-host",
    "Connect to a server on the host's loopback, and to the internet.",
    "network namespace",
    """
for family, address in ((socket.AF_INET, ("127.0.0.1", settings["port"])), (socket.AF_INET, ("192.0.2.1", 80)),
                        (socket.AF_INET6, ("2001:db8::1", 80))):
    attempt(address, lambda: socket.socket(family, socket.SOCK_STREAM).connect(address))
attempt("DNS", lambda: socket.getaddrinfo("example.org", 80))
attempt("UDP", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 53)))
""",
    needs="network",
    prepare=host_listener,
)
attack(
    "abstract-socket-of-host",
    "Connect to an abstract socket of the host.",
    "network namespace",
    """attempt("connect", lambda: socket.socket(socket.AF_UNIX).connect("\\0" + settings["socket"]))""",
    needs="network",
    prepare=host_abstract_socket,
)
attack(
    "socket-families",
    "Open sockets that reach past the network namespace or into the kernel: vsock, netlink, AF_ALG, packet, raw ones.",
    "our filter, capabilities",
    """
for family, kind in ((40, 1), (16, 3), (38, 5), (17, 3), (29, 3), (31, 3), (15, 3), (44, 3), (21, 5), (30, 1)):
    attempt(("socket", family, kind), lambda: socket.socket(family, kind, 0))
""",
)
attack(
    "raw-sockets",
    "Open raw sockets.",
    "capabilities",
    """
for family, protocol in ((2, 1), (2, 255), (10, 58)):
    attempt(("raw", family), lambda: socket.socket(family, socket.SOCK_RAW, protocol))
""",
    needs="capabilities",
)
attack(
    "system-buses",
    "Connect to sockets of the host's services: Docker, D-Bus, systemd, X11.",
    "mounts of the jail",
    """
for path in ("/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private",
             "/tmp/.X11-unix/X0", "/run/containerd/containerd.sock", "/run/systemd/journal/socket", "/dev/log"):
    attempt(path, lambda: socket.socket(socket.AF_UNIX).connect(path))
""",
    needs="hidden-files",
)
