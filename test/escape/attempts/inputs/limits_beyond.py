# tries: to request more than the server's limits
# protection: the check against the server's limits, which the workers enforce too
# request: {"limits": {"memory_mb": 701}}
# inside: invalid_request
def main():
    return "granted"
