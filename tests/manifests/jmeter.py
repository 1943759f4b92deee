"""Checks a JMeter plan without JMeter: it is well-formed, made of elements that every JMeter 5 knows, each followed by the
tree below it, and all that it lets an operator choose has a default. Prints every mistake; exit code 1 if there is one.
usage: jmeter.py FILE"""

import re
import sys
import xml.etree.ElementTree as xml

# By their class, which panel shows each.
KNOWN = {
    "TestPlan": "TestPlanGui",
    "ThreadGroup": "ThreadGroupGui",
    "HTTPSamplerProxy": "HttpTestSampleGui",
    "ResponseAssertion": "AssertionGui",
    "ResultCollector": "StatVisualizer",
}
PROPERTIES = {"stringProp", "boolProp", "intProp", "elementProp", "collectionProp", "objProp"}


def main(file):
    plan = xml.parse(file).getroot()
    mistakes = [] if plan.tag == "jmeterTestPlan" else [f"the root is {plan.tag}"]
    elements = [element for tree in plan.iter("hashTree") for element in tree if element.tag != "hashTree"]
    for element in elements:
        if element.tag != element.get("testclass") or KNOWN.get(element.tag) != element.get("guiclass"):
            mistakes.append(f"{element.tag} is not known")
        mistakes += [f"{element.tag}: {child.tag} is no property" for child in element if child.tag not in PROPERTIES]
    for tree in plan.iter("hashTree"):
        tags = [child.tag == "hashTree" for child in tree]
        if tags != [False, True] * (len(tags) // 2):
            mistakes.append("elements and the trees below them do not take turns")
    missing = KNOWN.keys() - {element.tag for element in elements}
    mistakes += [f"there is no {tag}" for tag in sorted(missing)]
    texts = [each.text or "" for each in plan.iter("stringProp")]
    mistakes += [f"{call} has no default" for text in texts for call in re.findall(r"\$\{__P\([^,)]*\)\}", text)]
    for mistake in mistakes:
        print(f"{file}: {mistake}")
    return 1 if mistakes else 0


sys.exit(main(sys.argv[1]))
