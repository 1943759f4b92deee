// Objects that others define (Gateway API, KEDA, Prometheus' operator), against their published schemas: JSON objects on the
// standard input, one a line; prints what is wrong with each.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const packages = `${process.argv[2]}/node_modules/@kubernetes-models`;
const GROUPS = {
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
for await (const line of createInterface({ input: process.stdin })) {
  const object = JSON.parse(line);
  const [group, version] = object.apiVersion.split("/");
  const file = `${packages}/${GROUPS[group]}/${group}/${version}/${object.kind}.js`;
  const models = await import(pathToFileURL(file));
  try {
    new models[object.kind](object).validate();
  } catch (error) {
    console.log(`${object.kind} ${object.metadata.name}: ${error}`);
  }
}
