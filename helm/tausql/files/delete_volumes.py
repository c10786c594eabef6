"""After an uninstall that is to take the data along: delete the volume claims of this release, in one request.

Only where StatefulSets cannot say so themselves (before Kubernetes 1.27).
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.parse
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


def main() -> None:
    host = f"{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
    query = urllib.parse.urlencode({"labelSelector": os.environ["SELECTOR"]})
    url = f"https://{host}/api/v1/namespaces/{os.environ['NAMESPACE']}/persistentvolumeclaims?{query}"
    headers = {"authorization": "Bearer " + (ACCOUNT / "token").read_text().strip()}
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    request = urllib.request.Request(url, headers=headers, method="DELETE")
    with urllib.request.urlopen(request, timeout=30, context=context) as answer:
        for claim in json.load(answer).get("items", ()):
            print("deleted", claim["metadata"]["name"])


if __name__ == "__main__":
    main()
