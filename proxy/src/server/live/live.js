"use strict";
// Shows what /pools and /nginx_status say, every two seconds. It commands nothing.

const EVERY_MS = 2000;
const COLOURS = { eligible: "good", full: "good", unchecked: "doubtful", draining: "doubtful", drained: "doubtful" };
const form = document.querySelector("#token");
let before = null;

async function ask(path) {
  const token = sessionStorage.getItem("token");
  const answer = await fetch(path, { headers: token ? { Authorization: `Bearer ${token}` } : {}, cache: "no-store" });
  form.hidden = answer.status !== 401;
  if (!answer.ok) throw new Error(answer.status === 401 ? "a token is asked for" : `${path} answers ${answer.status}`);
  return answer;
}

async function look() {
  const [pools, status] = await Promise.all([ask("pools").then((a) => a.json()), ask("nginx_status").then((a) => a.text())]);
  const [active] = status.match(/(?<=Active connections: )\d+/);
  const requests = Number(status.split("\n")[2].trim().split(" ")[2]);
  return { at: performance.now(), pools, active: Number(active), requests };
}

/** How often something happened each second since the last look; nothing where there was none. */
function rate(now, then, elapsed) {
  return then === undefined || now < then || elapsed <= 0 ? null : (now - then) / elapsed;
}

const shown = (number) => (number === null ? "" : number < 10 ? number.toFixed(1) : Math.round(number).toLocaleString("en"));

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function row(cells, kind) {
  const made = element("tr");
  for (const [text, className] of cells) made.append(element(kind, text, className));
  return made;
}

const errors = (backend) =>
  Object.entries(backend.statuses ?? {}).reduce((sum, [status, count]) => sum + (status >= 500 ? count : 0), backend.failures);

function table(pool, earlier, elapsed) {
  const made = element("table");
  made.append(row([["backend"], ["standing"], ["weight", "number"], ["in flight", "number"], ["requests/s", "number"],
                   ["errors/s", "number"], ["requests", "number"], ["why"]], "th"));
  for (const backend of pool.backends) {
    const then = earlier?.backends.find((other) => other.name === backend.name);
    const places = backend.max_conns ? `${backend.in_flight} of ${backend.max_conns}` : backend.in_flight;
    made.append(row([
      [backend.name === backend.address ? backend.name : `${backend.name} (${backend.address})`],
      [backend.standing + (backend.backup ? ", backup" : ""), `standing ${COLOURS[backend.standing] ?? "bad"}`],
      [backend.weight, "number"],
      [places, "number"],
      [shown(rate(backend.requests, then?.requests, elapsed)), "number"],
      [shown(rate(errors(backend), then && errors(then), elapsed)), "number"],
      [backend.requests.toLocaleString("en"), "number"],
      [backend.trouble?.why ?? "", "why"],
    ], "td"));
  }
  return made;
}

function section(pool, earlier, elapsed) {
  const made = element("section");
  const heading = element("h2", pool.name);
  const eligible = `${pool.eligible} of ${pool.backends.length} serve`;
  heading.append(element("small", `${eligible}, ${pool.in_flight} in flight, ${pool.queued} waiting`, pool.eligible ? "" : "bad"));
  made.append(heading, table(pool, earlier, elapsed));
  return made;
}

/** What has gone wrong: of the whole program once, and of each backend that is out. */
function troubles(pools) {
  const found = [];
  for (const [name, change] of Object.entries({ reload: pools[0]?.last_reload, upgrade: pools[0]?.last_upgrade })) {
    if (change?.outcome === "failed") found.push(`${time(change.at)}: the last ${name} failed: ${change.error}`);
  }
  for (const pool of pools) {
    for (const { source, trouble } of pool.discovery ?? []) if (trouble) found.push(`${pool.name}: ${source}: ${trouble}`);
    for (const backend of pool.backends) {
      if (backend.troubles_lately) found.push(`${pool.name}: ${backend.name} was taken out ${backend.troubles_lately} times within the last hour`);
    }
  }
  return found;
}

const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString();

function show(now) {
  const elapsed = before ? (now.at - before.at) / 1000 : 0;
  const requests = shown(rate(now.requests, before?.requests, elapsed));
  document.querySelector("#summary").textContent = `${now.active} connections, ${requests || "…"} requests/s`;
  const earlier = (pool) => before?.pools.find((other) => other.name === pool.name);
  document.querySelector("#pools").replaceChildren(...now.pools.map((pool) => section(pool, earlier(pool), elapsed)));
  const found = troubles(now.pools);
  document.querySelector("#troubles").hidden = found.length === 0;
  document.querySelector("#troubles ul").replaceChildren(...found.map((text) => element("li", text)));
  before = now;
}

async function run() {
  try {
    show(await look());
  } catch (error) {
    document.querySelector("#summary").textContent = error.message;
  }
  if (form.hidden) setTimeout(run, EVERY_MS);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", form.querySelector("input").value);
  run();
});
run();
