"""mongomock's filter tests through the service: the folders of mongomock, of the driver and of what mongomock imports,
the URI of a real server, the service's URL.

mongomock's own tests run with its own collections, and each filter is noted with the documents that it meets. Whether
they pass does not matter here: what is right is what the real server answers to the same filter over the same documents.
"""
import contextlib, importlib.metadata, io, json, os, pathlib, sys, unittest

mongomock_folder, driver, imports, uri, url = sys.argv[1:]
sys.path[:0] = [mongomock_folder, driver, imports, str(pathlib.Path(__file__).parent)]
os.environ["TEST_MONGO_HOST"] = uri
# It asks which of its versions is installed, and none is.
importlib.metadata.version = lambda _: mongomock_folder.rsplit("-", 1)[-1]
import bson
import mongomock.collection
import pymongo
from bson import json_util
from service import Figures, Service

OPTIONS = json_util.JSONOptions(json_mode=json_util.JSONMode.CANONICAL, tz_aware=False)
MODULES = ["tests.test__collection_api", "tests.test__mongomock", "tests.test__bulk_operations"]


def canonical(value):
    return json_util.dumps(value, json_options=OPTIONS)


def record():
    """What mongomock's tests ask: documents and filter as canonical Extended JSON, and as values."""
    pairs = {}
    Collection = mongomock.collection.Collection
    iterate = Collection._iter_documents

    def noted(self, asked):
        try:
            documents, filter = list(self._store.documents), dict(asked)
            # What is no document no server can judge.
            bytes = bson.encode({"documents": documents, "filter": filter})
            pairs.setdefault((canonical(documents), canonical(filter)), bytes)
        except Exception:
            pass
        return iterate(self, asked)

    Collection._iter_documents = noted
    tests = unittest.defaultTestLoader.loadTestsFromNames(MODULES)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        unittest.TextTestRunner(stream=io.StringIO(), verbosity=0).run(tests)
    Collection._iter_documents = iterate
    return [(*texts, bson.decode(bytes)) for texts, bytes in pairs.items()]


def judge(collection, documents, filter):
    """The ids that the real server finds, in their order; none if it refuses the filter."""
    try:
        return sorted(canonical(document["_id"]) for document in collection.find(filter))
    except pymongo.errors.OperationFailure:
        return None


def found(service, filter):
    """The ids that the service finds, or its refusal."""
    body = '{"limit":200,"fields":"_id","filter":%s}' % filter
    status, text = service.send("POST", f"{service.documents}/query", body.encode())
    if status != 200:
        return None, (status, text)
    items = json_util.loads(text, json_options=OPTIONS)["items"]
    return sorted(canonical(item["_id"]) for item in items), None


def store(service, documents):
    """Whether the service takes all of these documents, and nothing else is there."""
    status, text = service.send("DELETE", f"{service.documents}/documents?filter=%7B%7D")
    assert status == 200, text
    if not documents:
        return True
    lines = "".join(canonical(document) + "\n" for document in documents)
    path = f"{service.documents}/documents?outcomes=refused"
    status, text = service.send("POST", path, lines.encode(), "application/x-ndjson")
    assert status == 200, text
    last = json.loads(text.splitlines()[-1])
    return last["refused"] == 0 and last["inserted"] == len(documents)


pairs = record()
client = pymongo.MongoClient(uri)
collection = client["suites"]["judge"]
service, figures = Service(url, "filters"), Figures()
there, is_stored = None, False
for texts, filter_text, values in pairs:
    documents, filter = values["documents"], values["filter"]
    if there != texts:
        collection.drop()
        if documents:
            collection.insert_many(documents)
        there, is_stored = texts, store(service, documents)
    if not is_stored:
        # Documents that the pages say are refused: names with a `$` or a `.`, ids that are null.
        figures.refused += 1
        continue
    right = judge(collection, documents, filter)
    ours, refusal = found(service, filter_text)
    if refusal is None and ours == right:
        figures.passed += 1
    elif refusal is not None and figures.is_refusal(*refusal):
        # The server refuses it as well, or it is beyond the operators that the pages list.
        figures.passed += right is None
        figures.refused += right is not None
    else:
        figures.fail(f"{filter_text} over {texts[:500]}", f"{ours or refusal}, the server says {right}")
client.drop_database("suites")
client.drop_database("mongomock___testing_db")
figures.print()
