"""
Receives Batchmill's webhooks: verifies each, acts on it once, and fetches the results.

    pip install standardwebhooks
    WEBHOOK_SECRET=whsec_... python3 examples/webhooks/receiver.py

It answers 2xx only when the work is done, so that whatever goes wrong here, the event comes again. Ids it has seen are
kept in a file; a service with a database keeps them there, in the transaction of the work itself.
"""

import json
import os
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from urllib.request import urlopen

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen_file = Path(os.environ.get("SEEN", "seen-webhooks.txt"))
seen = set(seen_file.read_text().split()) if seen_file.exists() else set()
lock = Lock()


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            event = webhook.verify(body, dict(self.headers.items()))
        except (WebhookVerificationError, ValueError):
            return self.answer(401)
        try:
            with lock:
                event_id = self.headers["webhook-id"]
                if event_id not in seen:
                    act(event["type"], event["data"])
                    with seen_file.open("a") as file:
                        file.write(event_id + "\n")
                    seen.add(event_id)
            self.answer(204)
        except Exception:
            traceback.print_exc()
            self.answer(500)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def act(kind, data):
    print(kind, data["id"], flush=True)
    # Also an expired or a cancelled batch has results of what was finished. No URL: no item was answered, or none can be signed.
    if data.get("output_file_url") is None:
        return
    with urlopen(data["output_file_url"]) as results:
        for line in results:
            item = json.loads(line)
            print(item["custom_id"], json.dumps(item["response"]["body"])[:200], flush=True)


if __name__ == "__main__":
    port = int(os.environ.get("PORT", "9090"))
    server = ThreadingHTTPServer(("127.0.0.1", port), Receiver)
    print(f"listening at http://127.0.0.1:{port}/", flush=True)
    server.serve_forever()
