"""Proxies for the benchmarks: Nginx and Veil, each with a configuration of its own in a folder."""

import measure
from measure import Server


def nginx(folder, name, threads, site, **values):
    """Nginx with `site` in its http block; `values` and the port are put into its %(…)s."""
    home, port = configured(folder, name, threads, site, values)
    return Server(name, ["nginx", "-p", home, "-c", home / "nginx.conf"], f"http://127.0.0.1:{port}")


def imported(binary, folder, name, threads, site, **values):
    """Veil with what it has made of the same configuration."""
    home, port = configured(folder, name, threads, site, values)
    return Server(name, [binary, "run", "--nginx", home / "nginx.conf"], f"http://127.0.0.1:{port}")


def configured(folder, name, threads, site, values):
    """A folder with Nginx's configuration in it, and the port that it listens at."""
    port = measure.free_port()
    home = folder / f"{name.replace('/', '-')}-{threads}"
    home.mkdir()
    site = site % {"port": port, **values}
    (home / "nginx.conf").write_text(NGINX_CONF % {"home": home, "threads": threads, "site": site})
    return home, port


def haproxy(folder, name, text, **values):
    """HAProxy with the configuration `text`; `values` and the port are put into its %(…)s."""
    port = measure.free_port()
    configuration = folder / f"haproxy-{port}.cfg"
    configuration.write_text(text % {"port": port, **values})
    return Server(name, ["haproxy", "-db", "-f", configuration], f"http://127.0.0.1:{port}")


def veil(binary, folder, threads, text, **values):
    """Veil with the configuration `text`; `values` and the threads are put into its %(…)s."""
    configuration = folder / f"veil-{threads}.yaml"
    configuration.write_text(text % {"threads": threads, **values})
    return Server("veil", [binary, "run", "-c", configuration])


NGINX_CONF = """
user root;
worker_processes %(threads)s;
daemon off;
pid %(home)s/pid;
error_log %(home)s/error.log crit;
events { worker_connections 16384; }
http {
  access_log /dev/null combined;
  client_body_temp_path %(home)s/body;
  proxy_temp_path %(home)s/proxy;
  client_max_body_size 50m;
  %(site)s
}
"""
