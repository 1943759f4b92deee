"""Checks the Kubernetes manifests of a folder: each against the published schemas, all of them against each other, and
the pods against what the README promises of them. Prints every mistake; exit code 1 if there is one.
usage: kubernetes.py FOLDER"""

import sys
from pathlib import Path

import kubernetes_validate
import yaml

# The oldest cluster with `preStop: sleep`, and the newest whose schemas are at hand.
VERSIONS = ["1.30", "1.37"]
PROBES = ["startupProbe", "readinessProbe", "livenessProbe"]


def main(folder: Path) -> int:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    manifests = Manifests(folder, kustomization)
    mistakes = [*manifests.files(), *manifests.schemas(), *manifests.references()]
    for deployment in manifests.of("Deployment"):
        mistakes += pod(deployment)
    for mistake in mistakes:
        print(mistake)
    print(f"{len(manifests.objects)} objects, {len(mistakes)} mistakes")
    return 1 if mistakes or not manifests.objects else 0


class Manifests:
    def __init__(self, folder, kustomization):
        self.folder, self.kustomization = folder, kustomization
        self.objects = [
            (name, each) for name in kustomization["resources"] for each in yaml.safe_load_all((folder / name).read_text())
        ]

    def of(self, kind):
        return [each for _, each in self.objects if each["kind"] == kind]

    def files(self):
        """Kustomize takes all manifests there are, and every file it names exists."""
        generated = [file for map in self.kustomization["configMapGenerator"] for file in map["files"]]
        named = {"kustomization.yaml", *self.kustomization["resources"], *generated}
        there = {file.name for file in self.folder.glob("*.yaml")}
        yield from (f"kustomization.yaml: {name} is missing, or is not named" for name in named ^ there)

    def schemas(self):
        for file, each in self.objects:
            for version in VERSIONS:
                try:
                    kubernetes_validate.validate(each, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    yield f"{file}: {title(each)}: Kubernetes {version}: {error.message} at {error.path}"

    def references(self):
        """Selectors find pods, and names find what they name."""
        pods = {each["metadata"]["name"]: each["spec"]["template"] for each in self.of("Deployment")}
        ports = {port["name"] for each in pods.values() for container in each["spec"]["containers"] for port in container["ports"]}
        maps = {each["name"] for each in self.kustomization["configMapGenerator"]}
        images = {each["name"] for each in self.kustomization["images"]}
        for file, each in self.objects:
            where = f"{file}: {title(each)}"
            for labels in selectors(each):
                if not any(labels.items() <= each["metadata"]["labels"].items() for each in pods.values()):
                    yield f"{where}: no pod has {labels}"
            for name in (value for key, value in nodes(each) if key in ("targetPort", "port") and isinstance(value, str)):
                if name not in ports:
                    yield f"{where}: no container has a port {name!r}"
        for each in self.of("HorizontalPodAutoscaler"):
            if each["spec"]["scaleTargetRef"]["name"] not in pods:
                yield f"{title(each)}: scales nothing"
        for name, template in pods.items():
            for volume in template["spec"].get("volumes", []):
                if "configMap" in volume and volume["configMap"]["name"] not in maps:
                    yield f"{name}: there is no config map {volume['configMap']['name']!r}"
            yield from (f"{name}: image {container['image']!r} is not named" for container in template["spec"]["containers"]
                        if container["image"] not in images)


def pod(deployment):
    """What every pod here keeps to."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    security = spec["securityContext"]
    facts = {
        "runs as root": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "has no seccomp profile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "gets a token": spec.get("automountServiceAccountToken") is False,
    }
    for container in spec["containers"]:
        own = container["securityContext"]
        facts |= {
            "may gain privileges": own.get("allowPrivilegeEscalation") is False,
            "writes to its root": own.get("readOnlyRootFilesystem") is True,
            "keeps capabilities": own.get("capabilities") == {"drop": ["ALL"]},
            "lacks a probe": all(probe in container for probe in PROBES),
            "lacks requests or limits": {"requests", "limits"} <= container["resources"].keys(),
        }
    return [f"{name}: {what}" for what, is_well in facts.items() if not is_well]


def title(each):
    return f"{each['kind']} {each['metadata']['name']}"


def selectors(each):
    """The labels by which an object selects pods of this folder."""
    for key, value in nodes(each):
        if key in ("selector", "podSelector", "labelSelector") and value:
            yield value.get("matchLabels", value)


def nodes(tree):
    """All keys of a tree with their values."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield key, value
        yield from nodes(value)


sys.exit(main(Path(sys.argv[1])))
