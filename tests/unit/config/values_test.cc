#include "config/values.h"

#include <gtest/gtest.h>

namespace holdfast::config {
namespace {

using namespace std::chrono_literals;

TEST(Duration, TakesANumberAndAUnit) {
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("0s"), 0ms);
  EXPECT_EQ(parse_duration("5s"), 5s);
  EXPECT_EQ(parse_duration("10m"), 10min);
  EXPECT_EQ(parse_duration("24h"), 24h);
  EXPECT_EQ(parse_duration("90d"), 90 * 24h);
  EXPECT_EQ(parse_duration("36500d"), 36'500 * 24h);
  for (const char* text :
       {"", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "5.5s", "5S", "5sec", "1h30m",
        "99999999999999999999s", "9223372036854775807h", "1000000h", "40000d"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(Duration, IsWrittenInTheLargestWholeUnit) {
  for (const char* text : {"250ms", "90s", "5m", "36h", "0ms", "1500ms"}) {
    EXPECT_EQ(duration_text(*parse_duration(text)), text);
  }
  EXPECT_EQ(duration_text(60s), "1m");
}

TEST(Bytes, TakesANumberAndAUnit) {
  EXPECT_EQ(parse_bytes("512B"), 512U);
  EXPECT_EQ(parse_bytes("64KiB"), 64U * 1024);
  EXPECT_EQ(parse_bytes("1MiB"), 1024U * 1024);
  EXPECT_EQ(parse_bytes("2GiB"), 2ULL * 1024 * 1024 * 1024);
  for (const char* text : {"", "5", "KiB", "5 KiB", "-1B", "1.5MiB", "1kib", "1KB", "1024GiBB",
                           "1025GiB", "99999999999999999999B"}) {
    EXPECT_EQ(parse_bytes(text), std::nullopt) << text;
  }
  EXPECT_EQ(bytes_text(1024 * 1024), "1MiB");
  EXPECT_EQ(bytes_text(1536), "1536B");
  EXPECT_EQ(bytes_text(0), "0B");
}

TEST(EndpointText, TakesAHostAndAPort) {
  EXPECT_EQ(parse_endpoint("127.0.0.1:8443"), (Endpoint{"127.0.0.1", 8443}));
  EXPECT_EQ(parse_endpoint("localhost:0"), (Endpoint{"localhost", 0}));
  EXPECT_EQ(parse_endpoint("[::1]:443"), (Endpoint{"::1", 443}));
  EXPECT_EQ(endpoint_text({"::1", 443}), "[::1]:443");
  EXPECT_EQ(endpoint_text({"localhost", 1}), "localhost:1");
  for (const char* text : {"", "8443", ":8443", "host", "host:", "host:x", "host:-1", "host:65536",
                           "::1:443", "[::1]", "[x]:1", "a b:1", "http://host:1"}) {
    EXPECT_EQ(parse_endpoint(text), std::nullopt) << text;
  }
}

TEST(CertificateAppText, TakesANameAndAnApp) {
  const std::string app =
      " d3b07384-0000-4000-8000-000000000005/6a1e55aa-0000-4000-8000-000000000006";
  for (const std::string name : {"DNS:billing", "DNS:a-b_c.contoso.com",
                                 "URI:spiffe://contoso.com/ns/Billing?a=b", "URI:a:b"}) {
    const auto parsed = parse_certificate_app(name + app);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(parsed->name, name);
    EXPECT_EQ(certificate_app_text(*parsed), name + app);
  }
  EXPECT_TRUE(parse_certificate_app("DNS:" + std::string(256, 'a') + app));
  for (const std::string& name : {std::string(),
                                  std::string("DNS:"),
                                  std::string("billing.contoso.com"),
                                  std::string("dns:billing.contoso.com"),
                                  std::string("email:a@contoso.com"),
                                  std::string("IP:192.0.2.7"),
                                  std::string("CN:billing"),
                                  std::string("DNS:*.contoso.com"),
                                  std::string("DNS:bill*.contoso.com"),
                                  std::string("DNS:.contoso.com"),
                                  std::string("DNS:contoso.com."),
                                  std::string("DNS:a..b"),
                                  std::string("DNS:b\xc3\xbc"),
                                  std::string("URI:"),
                                  std::string("URI:billing"),
                                  std::string("URI::a"),
                                  std::string("URI:a:"),
                                  std::string("URI:spiffe://contoso.com/*"),
                                  std::string("URI:a:b,c"),
                                  std::string("URI:http://[::1]/"),
                                  "DNS:" + std::string(257, 'a'),
                                  "URI:a:" + std::string(255, 'a')}) {
    EXPECT_FALSE(parse_certificate_app(name + app)) << name;
  }
  for (const std::string& wrong :
       {std::string(), std::string(" "), " " + app, app + " ", app.substr(0, 37), app + "/a",
        std::string(" d3b07384-0000-4000-8000-000000000005 6a1e55aa-0000-4000-8000-000000000006"),
        app.substr(0, 73)}) {
    EXPECT_FALSE(parse_certificate_app("DNS:billing" + wrong)) << wrong;
  }
}

TEST(Cidr, NamesANetwork) {
  for (const char* text : {"10.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "2001:db8::/32", "::1/128"}) {
    EXPECT_TRUE(is_cidr(text)) << text;
  }
  for (const char* text :
       {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "::1/129", "host/8", "10.0.0.0/-1",
        "/8", "10.0.0.0/8/8", "10.0.0.1/8", "10.128.0.0/8", "2001:db8::1/32", "::1/127"}) {
    EXPECT_FALSE(is_cidr(text)) << text;
  }
}

TEST(VerifierKey, IsNameIdAndKey) {
  const std::string key = "+1a2b3c4d+AaRTXUg7Y8zV7m2rNmJqfQm9eXvQdPpJb0hOe0xq9kLc";
  for (const std::string& text : {"audit.contoso.com/log" + key, "\xC3\xA4" + key}) {
    EXPECT_TRUE(is_verifier_key(text)) << text;
  }
  for (const std::string& text :
       {std::string(), std::string("log"), key, "a b" + key, "log" + key + "\n", "log" + key + "?",
        "log" + key.substr(1), "log+1A2B3C4D" + key.substr(9), "log+1a2b3c" + key.substr(9),
        "log" + key.substr(0, 10)}) {
    EXPECT_FALSE(is_verifier_key(text)) << text;
  }
}

TEST(Origin, IsSchemeHostAndPort) {
  for (const char* text :
       {"https://graph.microsoft.com", "https://127.0.0.1:9443", "https://[::1]:9443",
        "https://[::1]", "http://localhost:80", "http://127.0.0.1:8080", "http://[::1]:1"}) {
    EXPECT_TRUE(is_origin(text)) << text;
  }
  for (const char* text :
       {"", "graph.microsoft.com", "https://", "https://host/", "https://host/v1.0", "https://h?x",
        "https://user@host", "https://host:0", "https://host:x", "HTTPS://host", "ftp://host",
        "http://graph.microsoft.com", "http://127.0.0.1.evil.example", "http://10.0.0.1",
        "https://a b", "https://a#b"}) {
    EXPECT_FALSE(is_origin(text)) << text;
  }
}

TEST(Values, HttpProxiesAreHostsWithPorts) {
  for (const char* text : {"http://egress:3128", "http://10.0.0.1:80", "http://[::1]:3128"}) {
    EXPECT_TRUE(is_http_proxy(text)) << text;
  }
  for (const char* text :
       {"", "egress:3128", "http://egress", "https://egress:3128", "http://egress:0",
        "http://user:secret@egress:3128", "http://egress:3128/", "http://egress:3128?x",
        "socks5://egress:1080", "http://a b:1", "http://:3128"}) {
    EXPECT_FALSE(is_http_proxy(text)) << text;
  }
}

}  // namespace
}  // namespace holdfast::config
