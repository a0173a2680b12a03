# The two commands are `make demo` and `make test`; both install what they need and can be run again at once.
SHELL := /bin/bash
LAB := lab/lab
# Compiling the tests takes each of their many processes ten seconds: what one has compiled is kept for the next
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install install-without-lab lab-started node-test packages-or-nodes converter lab-up lab-down demo demo-web test tests-as-lab-starts tests-as-lab-waits check quick-test browser-test screenshots pictures horizon-test dashboard wheel packages image appliance bundle package-test long-test lab-test relay-image lab-lanes lab-alone soak soak-rounds soak-tenancy soak-vault soak-flows soak-web soak-wheel soak-packages soak-image soak-appliance soak-bundle soak-all-of-it soak-collection soak-nodes soak-vcsim soak-lab judges ubuntu-guest guest-matrix cloud-matrix sbom bench collection collection-test

install:
	./install --no-converter

install-without-lab:
	./install --no-lab --no-converter

# In which guests are worked on. Nothing to do, but for the first time on a machine, and when its recipe has changed
converter: install-without-lab
	.venv/bin/longshore converter build

# Both wait for much of their time, the one for the disk and the mirror, the other for packages and daemons
lab-up: install-without-lab
	tests/beside build/converter $(MAKE) converter -- $(MAKE) lab-started

lab-started: install
	$(LAB) up

lab-down:
	$(LAB) down

demo: lab-up
	$(LAB) run demo/run

# What the demo has done and the lab's machines, on pages for a browser of this machine; Ctrl-C ends them.
# From elsewhere: ssh -L 8765:127.0.0.1:8765 MACHINE, and PORT=8765 here
PORT ?= 0
demo-web: lab-up
	demo/pages.py $(PORT)

test: tests-as-lab-starts tests-as-lab-waits lab-lanes

# The commit's time says whose turn it is among the tests that take turns (tests/turns.py): whoever runs its tests again
# runs the same ones. TURN= has all of them run
TURN ?= $(shell git log -1 --format=%ct)
collection-test long-test packages-or-nodes lab-lanes lab-alone: export LONGSHORE_TURN := $(TURN)

# What waits for most of its time runs beside what computes: the lab's packages and its start, and tests that hold the lab
# to themselves. Not all at once, though: two processors get no more done that way, and tests that wait for something wait
# too long
tests-as-lab-starts: install-without-lab
	tests/beside build/lab-up $(MAKE) relay-image -- \
	  tests/beside build/check $(MAKE) check collection-test -- $(MAKE) quick-test

tests-as-lab-waits: install
	tests/beside build/lab-alone $(MAKE) lab-alone packages-or-nodes -- $(MAKE) long-test

check: install-without-lab
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports

quick-test: converter
	.venv/bin/pytest -m "not lab and not long and not browser and not soak and not nodes" --ignore tests/test_packages.py \
		-q -n 3 --dist worksteal --durations=40

# In a real browser; not a part of `make test`. No file is read by each of the four processes for tests that aren't run
browser-test: install
	.venv/bin/pytest $$(grep -l IN_BROWSER tests/web/test_*.py) -m "browser and not soak" -q -n 3 \
		--dist worksteal

# What every page looks like, in each theme and width and in German, written to build/screenshots
screenshots: install
	LONGSHORE_SCREENSHOTS=$(CURDIR)/build/screenshots .venv/bin/pytest tests/web/test_looks.py -k "not each" -q -n 3

# Those in README and documents, made anew: look at what changed before it is kept
pictures: install
	LONGSHORE_PICTURES=$(CURDIR)/docs/pictures .venv/bin/pytest -m browser tests/web/test_pictures.py -q

# The plugin in Horizon of two ages. Each has an environment of its own, which is made from the package index the first
# time: so it isn't a part of `make test`. What the server does for it is (tests/web/test_inside.py)
horizon-test: install
	for age in django32 django52; do \
	  horizon/tests/prepare $$age && build/horizon/$$age/bin/python -m pytest -c horizon/tests/pytest.ini horizon/tests -q || exit 1; \
	done

# longshore-dashboard for whom to give it to: a wheel, and a package for Debian's Horizon
dashboard: install
	.tools/bin/uv build --wheel --out-dir dist horizon
	horizon/deb dist

# Ansible's: docs/howto/ansible.md. What playbooks do with it, `make quick-test` runs (tests/collection)
collection: install
	.venv/bin/ansible-galaxy collection build collection --output-path dist --force

# ansible-test's sanity, unit and integration tests, without docker, the last ones against a server over small clouds. They
# take minutes the first time: each has an environment of its own, made from PyPI and kept below ~/.ansible/test. One of the
# three runs, whose turn it is; with TURN= all do
collection-test: install-without-lab
	tests/collection/ansible_tests

# For whom to give it to: docs/howto/install.md
wheel: install
	.tools/bin/uv build --wheel --out-dir dist .

# For Debian 12 and 13, one set for both: docs/howto/install.md
packages: install
	deploy/packages dist

OUT ?= dist
# One image for containers of all roles: docs/howto/containers.md
image: converter
	deploy/containers/image $(OUT)

# A disk with server, worker and database, as qcow2 and OVA: docs/howto/appliance.md
appliance: converter
	deploy/appliance/appliance $(OUT)

# Packages and all that they depend on as one signed tar, for a machine without a network: docs/howto/install.md
bundle: install
	@[ -n "$(KEY)" ] || { echo "KEY=… says by which of your GnuPG keys it is signed." >&2; exit 2; }
	deploy/air-gapped/bundle $(OUT) $(KEY)

# Built, installed, upgraded and removed on a Debian that boots in namespaces of this machine, in two to three minutes;
# its root is made the first time
package-test: install
	.venv/bin/pytest -m "not soak" tests/test_packages.py -q

# Three nodes in namespaces of their own, one of which loses something in each test: most of it is waiting
node-test: install
	.venv/bin/pytest tests/nodes -m "nodes and not soak" -v -s

# One of the tests of these two, which take turns: each has whole machines to raise before it begins
packages-or-nodes: install
	.venv/bin/pytest tests/test_packages.py tests/nodes -m "not soak" -v

# More of them than processors: each waits at times, for an engine that was killed to come again
long-test: install converter
	LONGSHORE_PROJECTS=250 .venv/bin/pytest -m "long and not browser and not soak" -q -n 3 --dist worksteal --durations=40 \
		tests/tenancy/test_any_project.py $$(grep -rl 'mark\.long' tests --include='test_*.py')

# There is no network inside the lab: the image is built outside. A minute of a machine to itself may be five of a shared
# one, where several tests run side by side.
LONGSHORE_LAB ?= /var/lib/longshore-lab
LAB_PYTEST := $(LAB) run .venv/bin/pytest tests/lab tests/guests -o timeout=1800 -v
lab-test: lab-lanes lab-alone

relay-image: lab-up
	.venv/bin/longshore relay-image build --output $(LONGSHORE_LAB)/cache/relay.qcow2

lab-lanes: relay-image
	$(LAB_PYTEST) -m "lab and not soak and not alone" -n 4 --durations=40

lab-alone: lab-up
	$(LAB_PYTEST) -m "lab and not soak and alone"

# What takes too long for every day. Five hundred migrations in which the source's operator, the worker and the database
# do as they like; a failure says the seed that it can be had again with: make soak-rounds LONGSHORE_SEED=…
# LONGSHORE_ROUNDS=1. And moves in the lab whose steps fail one after another, which small clouds show every day.
soak: soak-rounds soak-tenancy soak-vault soak-flows soak-web soak-wheel soak-packages soak-image soak-appliance \
  soak-bundle soak-all-of-it soak-collection soak-nodes soak-vcsim soak-lab

LONGSHORE_ROUNDS ?= 500
soak-rounds: install
	LONGSHORE_ROUNDS=$(LONGSHORE_ROUNDS) .venv/bin/pytest tests/flows/test_any_moment.py -q
	LONGSHORE_KILLS=200 .venv/bin/pytest tests/flows/test_kills_around_a_proxy.py tests/flows/test_kills_around_writing.py -q

# Projects such as clouds have, exported and imported elsewhere
LONGSHORE_PROJECTS ?= 50000
soak-tenancy: install
	LONGSHORE_PROJECTS=$(LONGSHORE_PROJECTS) .venv/bin/pytest tests/tenancy/test_any_project.py -q -n 4

# Stories of backups, deletions, prunes and kills, beside a model; and real workers that are killed or put to sleep. Of
# the 500 stories in which the storage lies some can be had by themselves: LONGSHORE_SEED=1200 LONGSHORE_STORIES=50
soak-vault: install
	.venv/bin/pytest -m "soak or turns" tests/vault -q

soak-flows: install
	.venv/bin/pytest -m "long and (soak or turns)" tests/flows tests/blocks tests/cli tests/engine tests/providers tests/service -v -s

# Every page in each width of each theme, and a vCenter of 10,000 machines
soak-web: install
	.venv/bin/pytest tests/web -m soak -v -s

# The wheel in environments of their own, by the commands of docs/howto/install.md: from the package index
soak-wheel: wheel
	.venv/bin/pytest -m soak tests/test_wheel.py -v -s

# Two builds of the packages, compared; what lintian says of them; Debian 13; from those of an earlier commit to these; and
# from nothing to a machine that has landed in the lab
soak-packages: lab-up
	.venv/bin/pytest -m soak tests/test_packages.py tests/test_package_upgrade.py tests/test_packages_and_lab.py -v -s

# Built, and run by podman on a Debian that boots in namespaces of this machine: server, worker, database, a migration
soak-image: install
	.venv/bin/pytest -m soak tests/test_image.py -v -s

# Built, and booted by BIOS and by UEFI, without KVM: half an hour
soak-appliance: install
	.venv/bin/pytest -m soak tests/test_appliance.py -v -s

# Made, and installed where there is no network
soak-bundle: install
	.venv/bin/pytest -m soak tests/test_bundle.py -v -s

# What README.md and docs/howto/install.md have root type in a clone, on a bare Debian
soak-all-of-it: converter
	.venv/bin/pytest -m soak tests/test_all_of_it.py -v -s

# Ansible's own tests by the newest ansible-core; the built collection as Galaxy, ansible-lint and antsibull-docs see it,
# all from the package index; and its role on a Debian that boots
soak-collection: install
	tests/collection/ansible_tests
	.venv/bin/pytest -m "soak or turns" tests/collection -v -s

# Three bare Debians that become nodes by the page's own words, and everything that three nodes may lose. LONGSHORE_ROUNDS:
# how often the primary is cut off; LONGSHORE_MINUTES: of faults under load, a failure of which says its LONGSHORE_SEED
soak-nodes: install
	.venv/bin/pytest -m soak tests/test_three_nodes_placed.py -v -s
	LONGSHORE_ROUNDS=20 LONGSHORE_MINUTES=20 .venv/bin/pytest -m "nodes and soak" tests/nodes -v -s

# The lab's vCenter beside one that others wrote, govmomi's: the same calls, and what each answers
soak-vcsim: install
	lab/vcsim/build build/vcsim
	LONGSHORE_VCSIM=$(CURDIR)/build/vcsim/vcsim .venv/bin/pytest -m soak tests/providers/test_vsphere_beside_vcsim.py -v

# Heat and Ansible's openstack.cloud, in environments of their own, which judge what `plan iac` writes
JUDGES := $(CURDIR)/build/judges
judges: install
	.tools/bin/uv venv -q --allow-existing $(JUDGES)/heat
	.tools/bin/uv pip install -q --python $(JUDGES)/heat/bin/python openstack-heat==27.0.1
	.tools/bin/uv venv -q --allow-existing $(JUDGES)/ansible
	.tools/bin/uv pip install -q --python $(JUDGES)/ansible/bin/python ansible==12.3.0 'openstacksdk<4.15'

# There is no network inside the lab, where a cloud of today is raised
soak-lab: lab-up ubuntu-guest judges
	lab/suites/build trixie
	LONGSHORE_HEAT=$(JUDGES)/heat LONGSHORE_OPENSTACK_CLOUD=$(JUDGES)/ansible $(LAB_PYTEST) -m "soak or turns" --durations=10

# A guest of another family. Not every mirror of Debian has Ubuntu beside it; a test of it is passed over then
ubuntu-guest: lab-up
	-lab/guests/build $${LONGSHORE_LAB:-/var/lib/longshore-lab}/cache/guests debian-ubuntu

# What docs/reference/guests.md says of each family of guests, run anew and written there
GUEST_RUNS := docs/reference/guest_runs.json
guest-matrix: lab-up ubuntu-guest
	mkdir -p build && .venv/bin/python tests/matrix_runs.py guests >build/guest-tests
	-LONGSHORE_GUEST_RUNS=$(CURDIR)/$(GUEST_RUNS) $(LAB) run .venv/bin/pytest @build/guest-tests -o timeout=1800 -v
	.venv/bin/python docs/reference/generate.py

# What docs/reference/clouds.md says of the lab's cloud and of one of today: the same tests in both, and from one to the
# other, which raise and end the cloud of today by themselves
CLOUD_RUNS := LONGSHORE_CLOUD_RUNS=$(CURDIR)/docs/reference/cloud_runs.json
cloud-matrix: relay-image
	lab/suites/build trixie
	mkdir -p build && .venv/bin/python tests/matrix_runs.py clouds >build/cloud-tests
	-$(CLOUD_RUNS) $(LAB) run .venv/bin/pytest @build/cloud-tests -m lab -o timeout=1800 -v
	$(LAB) --cloud today up
	-$(CLOUD_RUNS) $(LAB) --cloud today run .venv/bin/pytest $$(grep -v -e two_clouds -e cloud_of_today build/cloud-tests) \
		-m lab -o timeout=1800 -v
	$(LAB) --cloud today down
	.venv/bin/python docs/reference/generate.py

# What Longshore is run with, as CycloneDX documents in dist/sbom
sbom: install
	deploy/sbom dist/sbom

# Longshore's copies against others' on the same endpoints, in turn; with a Ceph volume too when the lab is up.
RBD := pool=volumes,image=bench,conf=/etc/ceph/ceph.conf,user=cinder
bench: install
	if $(LAB) status >/dev/null; then \
	  $(LAB) run rbd --id cinder create --size 4G volumes/bench && \
	  { $(LAB) run .venv/bin/python bench/copying.py --rbd $(RBD); done=$$?; \
	    $(LAB) run rbd --id cinder rm --no-progress volumes/bench; exit $$done; }; \
	else .venv/bin/python bench/copying.py; fi
