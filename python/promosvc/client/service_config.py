"""How the client's channel behaves when the server is away (gRFC A6).

Only UNAVAILABLE is tried again: the call did not reach an engine. RESOURCE_EXHAUSTED is not, because
more calls are the last thing that an overloaded server needs. The throttle stops retries when
most of them fail.
"""

import json

SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "promosvc.v1.PromoService"}, {"service": "promosvc.v1.AdminService"}],
                "retryPolicy": {
                    "maxAttempts": 4,
                    "initialBackoff": "0.05s",
                    "maxBackoff": "1s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
    }
)
