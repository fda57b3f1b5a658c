"""Errors as Graph words them."""
import datetime
import json

from .http1 import Answer


class Problem(Exception):
    """A request that Graph refuses."""

    def __init__(self, status, code, message, headers=()):
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = list(headers)


CODES = {400: "BadRequest", 401: "InvalidAuthenticationToken", 403: "ErrorAccessDenied",
         404: "ErrorItemNotFound", 405: "Request_BadRequest", 408: "RequestTimeout",
         409: "Conflict", 423: "notAllowed", 429: "TooManyRequests", 500: "InternalServerError",
         502: "BadGateway", 503: "serviceNotAvailable", 504: "GatewayTimeout"}


def error_answer(status, code, message, request_id, client_request_id, headers=()):
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    body = json.dumps({"error": {"code": code, "message": message, "innerError": {
        "date": now, "request-id": request_id, "client-request-id": client_request_id}}},
        separators=(",", ":")).encode()
    return Answer(status, body, [("Content-Type", "application/json"), *headers],
                  did=f"refused {status} {code}")


def not_found():
    return Problem(404, "ErrorItemNotFound", "The specified object was not found in the store.")


def malformed_id():
    return Problem(400, "ErrorInvalidIdMalformed", "Id is malformed.")


def no_segment(text):
    return Problem(400, "BadRequest", f"Resource not found for the segment '{text}'.")
