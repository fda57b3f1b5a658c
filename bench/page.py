"""A page of messages, as Graph answers a list: most of what goes through a proxy before it."""
import base64
import json
import random
import urllib.parse

PREVIEW = ("Hi Adele,\r\n\r\nthe numbers for the third quarter are attached. Could you look over the "
           "\"open items\" before Thursday? Grüße,\r\nMegan\r\n________________________________\r\n"
           "From: Alex Wilber\r\nSent: Monday, October 5, 2026 9:41 AM")


def messages(origin: str, bytes_min: int) -> bytes:
    """As compact as Graph writes it; its messages alone have `bytes_min`, its links lead to `origin`."""
    drawn = random.Random(0)
    value = []
    size = 0
    while size < bytes_min:
        value.append(_message(drawn))
        size += len(_json(value[-1]))
    user = f"{origin}/v1.0/users/6f1d7a52-0000-4000-8000-00000000be02"
    return _json({
        "@odata.context": f"{origin}/v1.0/$metadata#users('adele%40contoso.com')/messages",
        "value": value,
        "@odata.nextLink": f"{user}/messages?$top={len(value)}&$skip={len(value)}",
    })


def _message(drawn: random.Random) -> dict:
    item = _base64(drawn, 108, "AAMkAGI2TG93")
    change = _base64(drawn, 24, "CQAAABYA")
    day = f"2026-10-{drawn.randint(1, 28):02}T{drawn.randint(0, 23):02}:41:07Z"
    return {
        "@odata.etag": f'W/"{change}"', "id": item, "createdDateTime": day,
        "lastModifiedDateTime": day, "changeKey": change, "categories": [],
        "hasAttachments": drawn.random() < 0.3, "subject": "Re: Numbers for the third quarter",
        "bodyPreview": PREVIEW[:drawn.randint(40, 255)], "importance": "normal",
        "conversationId": _base64(drawn, 72, "AAQkAGI2TG93"), "isDeliveryReceiptRequested": None,
        "isRead": True, "isDraft": False,
        "webLink": "https://outlook.office365.com/owa/?ItemID=" + urllib.parse.quote(item, safe="")
                   + "&exvsurl=1&viewmodel=ReadMessageItem",
        "from": _recipient("Megan Bowen", "megan"),
        "toRecipients": [_recipient("Adele Vance", "adele"), _recipient("Alex Wilber", "alex")],
        "ccRecipients": [], "flag": {"flagStatus": "notFlagged"},
    }


def _recipient(name: str, local: str) -> dict:
    return {"emailAddress": {"name": name, "address": f"{local}@contoso.com"}}


def _base64(drawn: random.Random, count: int, start: str) -> str:
    return start + base64.urlsafe_b64encode(drawn.randbytes(count)).decode()


def _json(value) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
