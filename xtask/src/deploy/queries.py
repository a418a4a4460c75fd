"""Runs every query of the dashboard and of the alerts in a real Prometheus that scrapes a real service.

Arguments: `prometheus`, the address of the service, and a directory to work in. A query may be empty only if it asks for
what need not happen; a metric that does not exist, or a label that it does not have, fails.
"""
import json, pathlib, re, socket, subprocess, sys, time, urllib.parse, urllib.request
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parents[3] / "deploy"
PATIENCE = 60  # seconds, on a busy machine


def fenced(page, language, first):
    """The block of the page in that language that begins so."""
    text = (DEPLOY.parent / page).read_text()
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)
    return next(block for block in blocks if block.startswith(first))


def queries():
    """Where each query is from, and its text."""
    dashboard = json.loads((DEPLOY / "grafana/tenantry.json").read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"panel {panel['title']}", target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            # `label_values(series, label)` is of Grafana; the series is of Prometheus.
            series = re.fullmatch(r"label_values\((.*), *\w+\)", variable["query"]["query"]).group(1)
            yield f"variable {variable['name']}", series
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"]:
        for rule in group["rules"]:
            yield f"alert {rule['alert']}", rule["expr"]


def filled(query):
    """The query as Grafana sends it."""
    for name, value in {"$__rate_interval": "1m", "$job": "tenantry", "$instance": ".*"}.items():
        query = query.replace(name, value)
    assert "$" not in query, f"an unknown variable: {query}"
    return query


def selectors(query):
    """Each series that a query asks for, without its range and without conditions on what need not have happened."""
    for name, labels in re.findall(r"\b([a-z_]+[a-z])(\{[^}]*\})", query):
        labels = re.sub(r', *(status|reason|route)[!=~]+"[^"]*"', "", labels)
        labels = re.sub(r'engine="mongodb"', "", labels)
        yield f"{name}{labels}"


class Prometheus:
    def __init__(self, program, target, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = "127.0.0.1:%d" % free.getsockname()[1]
        directory = pathlib.Path(directory)
        config = yaml.safe_load(fenced("docs/guides/install.md", "yaml", "scrape_configs:"))
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
        config["rule_files"] = [str(DEPLOY / "prometheus" / name) for name in config["rule_files"]]
        (directory / "prometheus.yml").write_text(yaml.safe_dump(config))
        flags = [f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={directory}/data",
                 f"--web.listen-address={self.address}", "--log.level=error"]
        self.process = subprocess.Popen([program, *flags])

    def ask(self, query):
        url = f"http://{self.address}/api/v1/query?" + urllib.parse.urlencode({"query": query})
        try:
            with opener.open(url, timeout=10) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise SystemExit(f"refused: {query}\n{error.read().decode()}") from error

    def wait(self, query):
        """Until the query has a result."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if self.ask(query):
                    return
            except (OSError, json.JSONDecodeError):
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"Prometheus has no {query}")
            time.sleep(0.2)


opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
program, target, directory = sys.argv[1:]
prometheus = Prometheus(program, target, directory)
try:
    # Three scrapes: a rate needs two.
    prometheus.wait('count_over_time(up{job="tenantry"}[5m]) >= 3')
    names = {series["metric"]["__name__"] for series in prometheus.ask('{job="tenantry"}')}
    empty, count = [], 0
    for place, text in queries():
        query = filled(text)
        result, count = prometheus.ask(query), count + 1
        series = list(selectors(query)) or [query]
        for selector in series:
            if not prometheus.ask(selector):
                empty.append(f"{place}: there is no {selector}")
        print(f"{place}: {len(result)} results")
    rules = json.load(opener.open(f"http://{prometheus.address}/api/v1/rules", timeout=10))["data"]["groups"]
    bad = [rule["name"] for group in rules for rule in group["rules"] if rule["health"] == "err"]
    if empty or bad:
        raise SystemExit("\n".join(empty + [f"the alert {name} cannot be evaluated" for name in bad]))
    # Every metric is in some panel: a new one wants to be seen.
    text = (DEPLOY / "grafana/tenantry.json").read_text()
    own = {"up", "ALERTS", "ALERTS_FOR_STATE"}  # Prometheus's; the last two while an alert is pending
    base = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names} - own
    unseen = sorted(name for name in base if not name.startswith("scrape_") and name not in text)
    if unseen:
        raise SystemExit("the dashboard does not show " + ", ".join(unseen))
    print(f"{count} queries")
finally:
    prometheus.process.terminate()
    prometheus.process.wait()
