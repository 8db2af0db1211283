# tries: DNS, the internet, the metadata address of clouds, Redis and the API on loopback
# incident: Capital One, 2019 (credentials from 169.254.169.254)
# protection: the filter, and a network namespace without an interface
# inside: []
import http.client, socket


def main():
    reached = []
    for host, port in (("169.254.169.254", 80), ("127.0.0.1", 6379), ("127.0.0.1", 8080), ("::1", 8080), ("1.1.1.1", 53)):
        reached += succeeded(host, socket.create_connection, (host, port), 2)
    reached += succeeded("dns", socket.getaddrinfo, "example.com", 443)
    reached += succeeded("http", http.client.HTTPConnection("169.254.169.254", timeout=2).request, "GET", "/")
    return reached
