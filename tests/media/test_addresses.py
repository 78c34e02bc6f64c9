import pytest

from media.addresses import FetchRules, may_contact, refusal_of

RULES = FetchRules(hosts=("cdn.shop.example", "*.pictures.example", "odd.example:8443"), most_bytes=1)


@pytest.mark.parametrize(
    "address",
    [
        "https://cdn.shop.example/a.jpg",
        "https://CDN.shop.example./a b.jpg".replace(" ", "%20"),
        "https://cdn.shop.example:443/a?b=c#d",
        "https://de.pictures.example/ä.jpg",
        "https://a.b.pictures.example/",
        "https://odd.example:8443/a",
    ],
)
def test_an_allowed_host_may_be_asked(address: str) -> None:
    assert refusal_of(address, RULES) is None


@pytest.mark.parametrize(
    "address",
    [
        "", " ", "a.jpg", "//cdn.shop.example/a", "https:///a", "https://", "https://:443/",
        "https://other.example/", "https://pictures.example/", "https://evilpictures.example/",
        "https://cdn.shop.example.evil.example/", "https://evil.example/cdn.shop.example",
        "https://evil.example#.pictures.example", "https://evil.example?.pictures.example",
        "https://cdn.shop.example:8443/", "https://odd.example/", "https://odd.example:99999/",
        "https://user@cdn.shop.example/", "https://user:password@cdn.shop.example/",
        "https://cdn.shop.example@evil.example/", "https://evil.example\\@cdn.shop.example/",
        "https://cdn.shop.example\\.evil.example/", "https://cdn.shop.example\r\nHost: a/",
        "https://cdn.shop.example /",
        "\thttps://cdn.shop.example/", "http://cdn.shop.example/", "ftp://cdn.shop.example/a",
        "file:///etc/passwd", "file://cdn.shop.example/etc/passwd", "data:image/png;base64,AAAA",
        "gopher://cdn.shop.example/",
        "/etc/passwd", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://localhost/",
        "https://[cdn.shop.example]/", "https://cdn.shop.example\u3002evil.example/", "https://\ud800.pictures.example.evil/",
    ],
)  # fmt: skip
def test_what_no_rule_allows_is_refused_in_words_that_name_nothing(address: str) -> None:
    why = refusal_of(address, RULES)
    assert why is not None
    assert "example" not in why


@pytest.mark.parametrize(
    ("rule", "address"),
    [
        ("cdn.m\u00fcnchen.example", "https://cdn.xn--mnchen-3ya.example/a"),
        ("cdn.xn--mnchen-3ya.example", "https://cdn.M\u00dcNCHEN.example/a"),
        ("*.m\u00fcnchen.example", "https://a.xn--mnchen-3ya.example/"),
        ("CDN.Shop.example.", "https://cdn.shop.example/"),
        ("cdn.shop.example", "https://\uff43\uff44\uff4e.shop.example/"),
        ("cdn.shop.example:443", "https://cdn.shop.example/"),
        ("[FD00::1]", "https://[fd00::1]/"),
        ("[fd00::1]:8443", "https://[fd00:0::1]:8443/"),
    ],
)
def test_a_host_of_the_settings_is_read_as_that_of_an_address_is(rule: str, address: str) -> None:
    assert refusal_of(address, FetchRules(hosts=(rule,))) is None
    for other in ("https://cdn.sh\u043ep.example/", "https://munchen.example/", "https://shop.example/",
                  "https://cdn.shop.example:444/", "https://[fd00::2]/",
                  "https://[fd00::1]:444/"):  # fmt: skip
        assert refusal_of(other, FetchRules(hosts=(rule,))) == "a host that no setting allows"


def test_nothing_is_allowed_until_a_host_is() -> None:
    assert (
        refusal_of("https://cdn.shop.example/", FetchRules(most_bytes=1)) == "a host that no setting allows"
    )


@pytest.mark.parametrize("ip", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_a_public_machine_may_be_contacted(ip: str) -> None:
    assert may_contact(ip, [])


@pytest.mark.parametrize(
    "ip",
    [
        "127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1",
        "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
        "::7f00:1",
        "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1", "2001::1",
        "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b:1::a00:1", "100::1", "::ffff:0:127.0.0.1",
        "::ffff:0:10.0.0.1", "1::1", "4000::1", "5f00::1", "3fff::1",
    ],
)  # fmt: skip
def test_no_other_machine_may_be(ip: str) -> None:
    assert not may_contact(ip, [])


def test_a_private_network_may_be_named() -> None:
    assert may_contact("10.1.2.3", ["10.1.0.0/16", "fd00::/8"])
    assert may_contact("fd00::1", ["10.1.0.0/16", "fd00::/8"])
    assert may_contact("::ffff:10.1.2.3", ["10.1.0.0/16"])
    assert not may_contact("10.2.2.3", ["10.1.0.0/16", "fd00::/8"])
