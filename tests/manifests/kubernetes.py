"""Checks the Kubernetes manifests as Kustomize and Helm render them, base, overlays, components and chart: each object
against the published schemas, all of a rendering against each other, the pods against what the README promises of them, and
the chart against the base. Prints every mistake; exit code 1 if there is one.
usage: kubernetes.py CONF TOOLS   (TOOLS has kubectl, helm and node_modules)"""

import json
import subprocess
import sys
import tempfile
from os.path import relpath
from pathlib import Path

import kubernetes_validate
import yaml

# The oldest cluster with `preStop: sleep`, and the newest whose schemas are at hand.
VERSIONS = ["1.30", "1.37"]
CUSTOM = ("gateway.networking.k8s.io/", "keda.sh/", "monitoring.coreos.com/")
PROBES = ["startupProbe", "readinessProbe", "livenessProbe"]
CHARTS = {
    "as it is": [],
    "with an Ingress": ["ingress.enabled=true", "ingress.className=traefik", "ingress.annotations.a/b=c"],
    "with a Gateway": ["gateway.enabled=true", "monitors.enabled=true"],
    "with KEDA": ["autoscaling.queue=keda", "proxy.replicas=3", "workers.environment.BLUR_DETAIL=max"],
    "with the adapter": ["autoscaling.queue=adapter", "networkPolicies.enabled=false", "proxy.adminSecret=mine"],
}
REFUSED = ["proxy.replica=3", "workers.threads=0", "workers.memory=1Gi", "autoscaling.queue=yes", "ingress.enabled=true",
           "workers.environment.PATH=/"]


def main(conf: Path, tools: Path) -> int:
    helm = Helm(tools / "helm", conf / "helm" / "veil")
    renderings = {**kustomize(conf / "kubernetes", tools / "kubectl"), **helm.renderings()}
    mistakes = [f"{conf}/helm: {each}" for each in helm.mistakes()]
    for name, objects in renderings.items():
        mistakes += [f"{name}: {each}" for each in Rendering(objects).mistakes()]
    mistakes += custom(renderings, tools)
    for file in sorted((conf / "kubernetes/bulk").glob("*.yaml")):
        jobs = documents(file.read_text())
        mistakes += [f"{file.name}: {each}" for each in [*Rendering(jobs).schemas(), *shards(jobs[0])]]
    mistakes += differences(renderings["base"], renderings["chart as it is"])
    for mistake in mistakes:
        print(mistake)
    objects = sum(len(each) for each in renderings.values())
    print(f"{len(renderings)} renderings, {objects} objects, {len(mistakes)} mistakes")
    return 1 if mistakes or not objects else 0


def kustomize(folder, kubectl):
    """Base, overlays, and the base with each component."""
    said = {each.name: said_by(kubectl, "kustomize", each) for each in [folder / "base", *(folder / "overlays").iterdir()]}
    for component in (folder / "components").iterdir():
        with tempfile.TemporaryDirectory() as name:
            here = Path(name).resolve()
            named = {"resources": [relpath((folder / "base").resolve(), here)],
                     "components": [relpath(component.resolve(), here)]}
            (here / "kustomization.yaml").write_text(yaml.safe_dump(named))
            said[f"base with {component.name}"] = said_by(kubectl, "kustomize", here)
    return {name: documents(text) for name, text in said.items()}


class Helm:
    def __init__(self, program, chart):
        self.program, self.chart = program, chart

    def renderings(self):
        return {f"chart {name}": documents(self.template(settings)) for name, settings in CHARTS.items()}

    def template(self, settings):
        set_all = [word for setting in settings for word in ("--set-string" if "env" in setting else "--set", setting)]
        return said_by(self.program, "template", "veil", self.chart, "--namespace", "veil", *set_all)

    def mistakes(self):
        said_by(self.program, "lint", "--strict", "--quiet", self.chart)
        for setting in REFUSED:
            if run(self.program, "template", "veil", self.chart, "--set", setting).returncode == 0:
                yield f"{setting} is not refused"
        if (self.chart / "files/veil.yaml").read_text() != (self.chart / "../../kubernetes/base/veil.yaml").read_text():
            yield "files/veil.yaml is not conf/kubernetes/base/veil.yaml"


class Rendering:
    def __init__(self, objects):
        self.objects = objects

    def of(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def names(self, kind):
        return {each["metadata"]["name"] for each in self.of(kind)}

    def mistakes(self):
        yield from self.schemas()
        yield from self.references()
        for deployment in self.of("Deployment"):
            yield from pod(deployment)
        if len(self.of("HorizontalPodAutoscaler")) + len(self.of("ScaledObject")) != 1:
            yield "the workers have no autoscaler, or two"

    def schemas(self):
        for each in self.objects:
            for version in VERSIONS if not each["apiVersion"].startswith(CUSTOM) else []:
                try:
                    kubernetes_validate.validate(each, version, strict=True)
                except kubernetes_validate.ValidationError as error:
                    yield f"{title(each)}: Kubernetes {version}: {error.message} at {error.path}"

    def references(self):
        """Selectors find pods, and names find what they name."""
        pods = {each["metadata"]["name"]: each["spec"]["template"] for each in self.of("Deployment")}
        ports = {port["name"] for each in pods.values() for container in each["spec"]["containers"] for port in container["ports"]}
        for each in self.objects:
            for labels in selectors(each):
                if not any(labels.items() <= each["metadata"]["labels"].items() for each in pods.values()):
                    yield f"{title(each)}: no pod has {labels}"
            for name in (value for key, value in nodes(each) if key in ("targetPort", "port") and isinstance(value, str)):
                if name not in ports:
                    yield f"{title(each)}: no container has a port {name!r}"
            for kind, name in named(each):
                if name not in self.names(kind):
                    yield f"{title(each)}: there is no {kind} {name!r}"
        for name, template in pods.items():
            for container in template["spec"]["containers"]:
                if "example.com" not in container["image"] or ":" not in container["image"]:
                    yield f"{name}: the image {container['image']!r} is none that may be set"


def named(each):
    """What an object names of its own namespace, by kind."""
    for key, value in nodes(each):
        if key == "scaleTargetRef":
            yield "Deployment", value["name"]
        if key == "backendRefs":
            yield from (("Service", reference["name"]) for reference in value)
        if key == "service" and isinstance(value, dict):
            yield "Service", value["name"]
        if key == "configMap" and isinstance(value, dict):
            yield "ConfigMap", value["name"]
        if key == "env":
            yield from (("Service", variable["value"]) for variable in value if variable["name"] == "VEIL_WORKERS")


def pod(deployment):
    """What every pod here keeps to."""
    name, spec = deployment["metadata"]["name"], deployment["spec"]["template"]["spec"]
    security = spec["securityContext"]
    facts = {
        "runs as root": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "has no seccomp profile": security.get("seccompProfile") == {"type": "RuntimeDefault"},
        "gets a token": spec.get("automountServiceAccountToken") is False,
        "is not spread over nodes": bool(spec.get("topologySpreadConstraints")),
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


def shards(job):
    """As many parts as pods."""
    spec, container = job["spec"], job["spec"]["template"]["spec"]["containers"][0]
    if f"$(JOB_COMPLETION_INDEX)/{spec['completions']}" not in container["args"][-1] or spec["parallelism"] > spec["completions"]:
        yield "the parts are not as many as the pods"


def custom(renderings, tools):
    """What the schemas of Gateway API, KEDA and Prometheus' operator say."""
    objects = [each for objects in renderings.values() for each in objects if each["apiVersion"].startswith(CUSTOM)]
    lines = "\n".join(json.dumps(each) for each in objects)
    script = Path(__file__).with_name("custom.mjs")
    said = subprocess.run(["node", script, tools.resolve()], input=lines, capture_output=True, text=True, check=True)
    return said.stdout.splitlines()


def differences(base, chart):
    """The chart's objects are the base's: pods, budgets and autoscaler, but for names and labels."""
    def kinds(objects):
        return sorted((each["kind"] for each in objects if each["kind"] not in ("Namespace", "Secret")))

    if kinds(base) != kinds(chart):
        yield f"the chart has {kinds(chart)}, the base {kinds(base)}"
    for kind in ("Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler"):
        for left, right in zip(*(sorted(map(plain, of(objects, kind)), key=str) for objects in (base, chart))):
            if left != right:
                yield f"chart and base differ in a {kind}:\n  {left}\n  {right}"


def of(objects, kind):
    return [each for each in objects if each["kind"] == kind]


def plain(each):
    """Without what has a name of its own in each rendering."""
    text = json.dumps(each["spec"], sort_keys=True)
    spec = json.loads(text.replace("veil-blur-service", "blur-service"))
    drop(spec, {"labels", "matchLabels", "annotations", "configMap"})
    return spec


def drop(tree, keys):
    for key, value in list(tree.items() if isinstance(tree, dict) else enumerate(tree)):
        if key in keys:
            del tree[key]
        elif isinstance(value, (dict, list)):
            drop(value, keys)


def title(each):
    return f"{each['kind']} {each['metadata']['name']}"


def selectors(each):
    """The labels by which an object selects pods of its rendering."""
    for key, value in nodes(each):
        if key in ("selector", "podSelector", "labelSelector") and value:
            yield value.get("matchLabels", value)


def nodes(tree):
    """All keys of a tree with their values."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in pairs:
        yield key, value
        yield from nodes(value)


def documents(text):
    return [each for each in yaml.safe_load_all(text) if each]


def said_by(*command):
    done = run(*command)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        done.check_returncode()
    return done.stdout


def run(*command):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
