# SPDX-License-Identifier: Apache-2.0
"""What a QEMU guest boots: Debian's own kernel, from its package, unpacked and never installed, and an initramfs of busybox, a few
programs with their libraries, modules, and an init script that answers commands over a virtio port. Both are cached."""

import contextlib
import fcntl
import glob
import hashlib
import os
import py_compile
import re
import shutil
import subprocess
import tempfile

from lab import BUILD, CommandError, run

PACKAGE = "linux-image-cloud-amd64"

INIT = """#!/usr/local/bin/sh
/bin/busybox --install -s /bin
export PATH=/usr/local/bin:/bin PYTHONHOME=/usr
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ulimit -c 0
for m in $(cat /boot.modules); do modprobe $m || echo "init: no module $m"; done
ip link set lo up
until port=$(ls /dev/vport*p1 2>/dev/null); do sleep 0.05; done
exec 3<>$port
# Files of the commands, and of what they start, are named relative to this directory.
cd "$(mktemp -d)"
echo ready >&3
# A command is one line: token and script in base64. The answer is one line: token, exit status, output in base64.
while read -r token script <&3; do
	echo "$script" | base64 -d >script
	sh ./script </dev/null >output 2>&1 3>&-
	echo "$token $? $(base64 -w 0 output)" >&3
done
echo "init: the host is gone"
poweroff -f
"""


def _libraries(program):
    """Absolute paths of the shared objects of a program, the loader included."""
    return sorted(set(re.findall(r"(/\S+) \(0x", run("ldd", program))))


class Image:
    """What is in an initramfs, besides busybox. Programs are in /usr/local/bin unless their name is a path."""

    # Not busybox's shell: that one prefers its own applets, its smaller `ip` included.
    PROGRAMS = {"sh": "/bin/dash", "ip": "/sbin/ip", "bridge": "/sbin/bridge", "ping": "/bin/ping"}

    def __init__(self, name, boot_modules, modules, programs=None, shared=(), python=(), packages=None):
        """boot_modules are loaded, modules are there for `modprobe`; programs: {name in the guest: file}; shared: directories or files
        with shared objects that stay where they are; python: modules that scripts in the guest import; packages: files that are taken
        out of Debian packages, {name in the guest: (package, file)}."""
        self.name, self.boot_modules, self.modules = name, boot_modules, [*boot_modules, *modules]
        self.programs = {**self.PROGRAMS, **(programs or {})}
        self.shared, self.python, self.packages = shared, python, packages or {}

    def files(self, cache):
        """{path in the guest: file}; a .py becomes byte code."""
        files = {"bin/busybox": shutil.which("busybox")}
        assert files["bin/busybox"], "no busybox: install busybox-static"
        for name, (package, path) in self.packages.items():
            files[f"usr/local/bin/{name}"] = os.path.join(_unpacked(cache, package), path)
        objects = [*self.programs.values(), *self.shared]
        files.update({os.path.join("usr/local/bin", name).lstrip("/"): path for name, path in self.programs.items()})
        files.update({path.lstrip("/"): path for path in self.shared})
        if self.python:
            files["bin/python3"] = "/usr/bin/python3"
            objects.append("/usr/bin/python3")
            for path in _python_files(self.python):
                files[path.lstrip("/")] = path
                objects += [path] if path.endswith(".so") else []
        for path in objects:
            with open(path, "rb") as f:
                if f.read(4) == b"\x7fELF":
                    files.update({library.lstrip("/"): library for library in _libraries(path)})
        return files


def _python_files(modules):
    """The modules' files and those of what they import. Without OpenSSL: hashlib has its own."""
    script = ("import sys; sys.modules['_hashlib'] = None\n" + "".join(f"import {m}\n" for m in modules) +
              "print(*(m.__file__ for m in list(sys.modules.values()) if getattr(m, '__file__', None)), sep='\\n')")
    return run("/usr/bin/python3", "-I", "-S", "-c", script).split()


VIRTIO = ["virtio_pci", "virtio_net", "virtio_console"]
PEER = Image("peer", [*VIRTIO, "dummy"], ["tunnel4", "tunnel6", "ip_tunnel", "ipip", "sit", "ip6_tunnel", "vxlan", "wireguard"])


def podlane_image():
    """For a guest that runs podlaned on its own NICs."""
    pmds, = glob.glob("/usr/lib/*-linux-gnu/dpdk/pmds-*")
    drivers = [os.path.join(pmds, f"librte_{d}.so") for d in ("bus_pci", "bus_vdev", "mempool_ring", "net_e1000", "net_vmxnet3",
                                                              "net_virtio")]
    return Image("podlane", [*VIRTIO, "vmxnet3", "tun", "veth", "sch_ingress", "cls_bpf"], ["vfio_pci", "vfio_iommu_type1", "8021q", "bridge"],
                 programs={"podlaned": os.path.join(BUILD, "ctrl", "podlaned"), "podlane": os.path.join(BUILD, "ctrl", "podlane"),
                           "lspci": "/usr/bin/lspci", "/bin/bash": "/bin/bash", "/bin/modprobe": "/bin/kmod", "ethtool": "/sbin/ethtool",
                           "dpdk-devbind.py": "/usr/bin/dpdk-devbind.py"},
                 shared=drivers, packages={"driverctl": ("driverctl", "usr/sbin/driverctl")},
                 python=["argparse", "encodings.idna", "glob", "hashlib", "os", "platform", "socket", "struct", "subprocess"])


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.join(base, "podlane", "guest")
    os.makedirs(path, exist_ok=True)
    return path


@contextlib.contextmanager
def _locked(cache):
    """Two test runs side by side build one cache."""
    with open(os.path.join(cache, "lock"), "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def _download(cache, package, into):
    """A Debian package, unpacked into a new directory."""
    try:
        # The cache belongs to its user: apt's own user may not write there.
        sandbox = ["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []
        with tempfile.TemporaryDirectory(dir=cache) as tmp:
            done = subprocess.run(["apt-get", "-q", *sandbox, "download", package], cwd=tmp, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=300)
            packages = glob.glob(os.path.join(tmp, "*.deb"))
            if done.returncode != 0 or len(packages) != 1:
                raise CommandError(f"apt-get download {package}: exit {done.returncode}\n{done.stdout}")
            run("dpkg-deb", "-x", packages[0], into)
    except (CommandError, OSError, subprocess.SubprocessError) as e:
        raise AssertionError(f"apt could not deliver {package} for the guest (is this Debian 12, with network and a fresh "
                             f"`apt-get update`?): {e}") from e


def _unpacked(cache, package):
    path = os.path.join(cache, f"package-{package}")
    if not os.path.exists(path):
        _download(cache, package, path + ".new")
        os.rename(path + ".new", path)
    return path


def _fetch_kernel(cache):
    """The newest kernel package of the distribution, unpacked into the cache. Returns its directory."""
    depends = run("apt-cache", "depends", PACKAGE)
    match = re.search(r"Depends: (linux-image-\S+)", depends)
    assert match, f"no kernel for the guest: apt-cache knows no dependency of {PACKAGE}, try `apt-get update`:\n{depends}"
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        root = os.path.join(tmp, "root")
        _download(cache, match.group(1), root)
        version = os.listdir(os.path.join(root, "lib", "modules"))[0]
        run("depmod", "-b", root, version)
        os.rename(os.path.join(root, "boot", f"vmlinuz-{version}"), os.path.join(root, "vmlinuz"))
        shutil.rmtree(os.path.join(root, "boot"))
        kernel = os.path.join(cache, version)
        shutil.rmtree(kernel, ignore_errors=True)
        os.rename(root, kernel)
        return kernel


def _kernel(cache):
    ready = [d for d in glob.glob(os.path.join(cache, "[0-9]*")) if os.path.exists(os.path.join(d, "vmlinuz"))]
    return max(ready, key=os.path.getmtime) if ready else _fetch_kernel(cache)


def _module_files(kernel, modules):
    """Files of modules and what they depend on, relative to the module directory."""
    version = os.path.basename(kernel)
    base = os.path.join(kernel, "lib", "modules", version)
    wanted, by_name = set(), {}
    with open(os.path.join(base, "modules.dep")) as f:
        for line in f:
            path, _, needs = line.partition(":")
            by_name[os.path.basename(path).split(".ko")[0].replace("-", "_")] = [path, *needs.split()]
    with open(os.path.join(base, "modules.builtin")) as f:
        builtin = {os.path.basename(line.strip()).split(".ko")[0].replace("-", "_") for line in f}
    for name in modules:
        if name in by_name:
            wanted.update(by_name[name])
        elif name not in builtin:
            raise AssertionError(f"the guest's kernel {version} has no module {name}")
    return base, sorted(wanted)


def _initramfs(cache, kernel, image):
    base, modules = _module_files(kernel, image.modules)
    version = os.path.basename(kernel)
    files = image.files(cache)
    for path in modules:
        files[f"lib/modules/{version}/{path}"] = os.path.join(base, path)
    identity = hashlib.sha256(repr([INIT, image.boot_modules, version]).encode())
    for target, source in sorted(files.items()):
        stat = os.stat(source)
        identity.update(f"{target} {source} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    path = os.path.join(cache, f"initramfs-{image.name}-{identity.hexdigest()[:16]}.cpio")
    if os.path.exists(path):
        return path
    for old in glob.glob(os.path.join(cache, f"initramfs-{image.name}-*.cpio")):
        os.unlink(old)  # a guest that runs has read it already
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        root = os.path.join(tmp, "root")
        for directory in ("bin", "dev", "proc", "sys", "run", "tmp", "etc", "var", "usr/local/bin"):
            os.makedirs(os.path.join(root, directory))
        os.chmod(root, 0o755)
        first = {}
        for target, source in files.items():
            os.makedirs(os.path.dirname(os.path.join(root, target)), exist_ok=True)
            # One file under two names stays one: DPDK would load it twice.
            same = first.setdefault(os.path.realpath(source), target)
            if same != target:
                os.symlink("/" + same, os.path.join(root, target))
            elif target.endswith(".py") and "/bin/" not in target:  # or the guest compiles it, slowly, each time
                py_compile.compile(source, os.path.join(root, target + "c"), doraise=True,
                                   invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
            else:
                shutil.copy(source, os.path.join(root, target))
        for link, target in (("sbin", "bin"), ("usr/bin", "../bin"), ("var/run", "../run")):  # where scripts look for programs
            os.symlink(target, os.path.join(root, link))
        with open(os.path.join(root, "init"), "w") as f:
            f.write(INIT)
        os.chmod(os.path.join(root, "init"), 0o755)
        with open(os.path.join(root, "boot.modules"), "w") as f:
            f.write("\n".join(image.boot_modules) + "\n")
        run("depmod", "-b", root, version)
        with open(path + ".new", "wb") as out:
            listing = subprocess.run(["find", ".", "-print0"], cwd=root, stdout=subprocess.PIPE,
                                     check=True).stdout
            subprocess.run(["cpio", "--quiet", "--null", "-o", "-H", "newc", "-R", "0:0"], cwd=root, input=listing,
                           stdout=out, check=True)
        os.rename(path + ".new", path)
    return path


def guest_image(image):
    """(vmlinuz, initramfs), from the cache or made now; some seconds and the download the first time."""
    cache = _cache()
    with _locked(cache):
        kernel = _kernel(cache)
        return os.path.join(kernel, "vmlinuz"), _initramfs(cache, kernel, image)
