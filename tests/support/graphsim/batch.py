"""JSON batching: up to 20 requests in one, each answered on its own."""
import base64
import json

from .http1 import Answer, METHODS
from .problem import Problem

REQUESTS_MAX = 20


def bad(message):
    return Problem(400, "BadRequest", message)


def read(call):
    """The parts of a batch, checked as a whole before any of them runs."""
    parts = call.json().get("requests")
    if not isinstance(parts, list) or not parts:
        raise bad("Batch request must contain a non-empty 'requests' array.")
    if len(parts) > REQUESTS_MAX:
        raise bad(f"Number of batch request steps exceeds the maximum value of {REQUESTS_MAX}.")
    seen = set()
    for part in parts:
        if not isinstance(part, dict):
            raise bad("Invalid batch payload format.")
        identity, method, url = part.get("id"), part.get("method"), part.get("url")
        if not isinstance(identity, str) or not identity or identity.lower() in seen:
            raise bad("Batch request ids must be present and unique.")
        if not isinstance(method, str) or method.upper() not in METHODS:
            raise bad("A batch request's method is not valid.")
        if not isinstance(url, str) or not url or "://" in url:
            raise bad("A batch request's url must be relative.")
        depends = part.get("dependsOn", [])
        if not isinstance(depends, list) or any(str(other).lower() not in seen
                                                for other in depends):
            raise bad("dependsOn must name earlier requests of the batch.")
        if not isinstance(part.get("headers", {}), dict):
            raise bad("A batch request's headers must be an object.")
        seen.add(identity.lower())
    return parts


def body_of(part):
    body = part.get("body")
    if body is None:
        return b""
    if isinstance(body, str):
        return base64.b64decode(body)
    return json.dumps(body).encode()


def run_part(service, call, part, failed):
    if any(str(other).lower() in failed for other in part.get("dependsOn", [])):
        return Answer(424, json.dumps({"error": {
            "code": "FailedDependency", "message": "A dependency of this request failed."}}
        ).encode(), [("Content-Type", "application/json")], did="refused 424 FailedDependency")
    url = part["url"] if part["url"].startswith("/") else "/" + part["url"]
    fields = {str(name).lower(): str(value) for name, value in part.get("headers", {}).items()}
    fields.setdefault("authorization", call.fields["authorization"])
    inner = type(call)(part["method"].upper(), f"/{call.path.version}{url}", fields,
                       body_of(part), call.origin, in_batch=True)
    return service.answer(inner)


def execute(service, call):
    if call.method != "POST":
        raise Problem(405, "Request_BadRequest", "$batch takes POST.", [("Allow", "POST")])
    if call.in_batch:
        raise bad("A batch inside a batch is not allowed.")
    parts, responses, did, notes = read(call), [], [], []
    failed, acted = set(), False
    for part in parts:
        answer = run_part(service, call, part, failed)
        if answer.status >= 400:
            failed.add(part["id"].lower())
        response = {"id": part["id"], "status": answer.status, "headers": dict(answer.headers)}
        if answer.body:
            try:
                response["body"] = json.loads(answer.body)
            except ValueError:
                response["body"] = base64.b64encode(answer.body).decode()
        responses.append(response)
        did.append(f"{part['id']}: {answer.did}")
        notes += answer.notes
        acted = acted or answer.acted
    # Graph does not keep the order of the requests either.
    body = json.dumps({"responses": responses[1:] + responses[:1]}).encode()
    answer = Answer(200, body, [("Content-Type", "application/json")],
                    did="batch [" + "; ".join(did) + "]", acted=acted)
    answer.notes = notes
    return answer
