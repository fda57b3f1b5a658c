#include "proxy/inside_links.h"

#include <gtest/gtest.h>

#include <array>

#include "tests/support/fake_graph.h"

namespace holdfast::proxy {
namespace {

using graph::LinkRewriter;

constexpr const char* kPage =
    R"({"@odata.nextLink":"https://graph.microsoft.com/v1.0/me?$skip=1"})";
constexpr const char* kInside = R"({"@odata.nextLink":"https://proxy:8443/v1.0/me?$skip=1"})";

graph::LinkOrigins origins() {
  return {.graph = link_settings("https://graph.microsoft.com", "")->graph,
          .outside = "https://proxy:8443"};
}

http::Response page(http::Headers headers, int status = 200) {
  return {.status = status, .headers = std::move(headers), .content = kPage};
}

http::RequestHead asked(std::string method, std::string target = "/v1.0/me/messages") {
  return {.method = std::move(method), .target = std::move(target)};
}

std::string kept_inside(http::Response response, const http::RequestHead& head = asked("GET")) {
  keep_links_inside(response, head, origins(), LinkRewriter::Content::kPlain);
  return response.content;
}

TEST(KeepLinksInside, RewritesWholeJson) {
  for (const char* type : {"application/json", "Application/JSON;odata.metadata=minimal",
                           "application/merge-patch+json ; charset=utf-8"}) {
    EXPECT_EQ(kept_inside(page({{"Content-Type", type}})), kInside) << type;
  }
  EXPECT_EQ(kept_inside(page({{"Content-Type", "application/json"}}, 404)), kInside);
  EXPECT_EQ(
      kept_inside(page({{"content-type", "application/json"}, {"Content-Encoding", "identity"}})),
      kInside);
}

TEST(KeepLinksInside, LeavesOtherBodiesAlone) {
  const http::Headers others[] = {
      {},
      {{"Content-Type", "text/plain"}},
      {{"Content-Type", "application/jsonp"}},
      {{"Content-Type", "application/octet-stream; a=application/json"}},
      {{"Content-Type", "application/json"}, {"Content-Type", "text/plain"}},
      {{"Content-Type", "application/json"}, {"Content-Encoding", "gzip"}},
      {{"Content-Type", "application/json"},
       {"Content-Encoding", "identity"},
       {"Content-Encoding", "br"}},
      {{"Content-Type", "application/json"}, {"Cache-Control", "private, No-Transform"}},
  };
  for (const http::Headers& headers : others) EXPECT_EQ(kept_inside(page(headers)), kPage);
  EXPECT_EQ(kept_inside(page({{"Content-Type", "application/json"}}, 206)), kPage);
}

// A file is what somebody put there, whatever it looks like.
TEST(KeepLinksInside, LeavesFilesAloneThatAreJson) {
  const http::Headers json{{"Content-Type", "application/json"}};
  for (const char* target :
       {"/v1.0/me/messages/1/attachments/2/$value", "/v1.0/me/drive/items/1/content",
        "/v1.0/me/drive/items/1/content?format=x", "/v1.0/drives/1/items/2/contentStream"}) {
    EXPECT_EQ(kept_inside(page(json), asked("GET", target)), kPage) << target;
  }
  EXPECT_EQ(kept_inside(page(json), asked("GET", "/v1.0/me?a=/content")), kInside);
  EXPECT_EQ(kept_inside(page(json), asked("GET", "/v1.0/me/drive/root:/a/content")), kInside);
}

TEST(KeepLinksInside, LeavesAttachmentsAloneWhateverTheirTarget) {
  const auto kept = [](const char* disposition) {
    return kept_inside(
        page({{"Content-Type", "application/json"}, {"content-disposition", disposition}}));
  };
  for (const char* file : {"attachment", "Attachment", "attachment; filename=\"a.json\"",
                           "ATTACHMENT ;filename*=UTF-8''a.json"}) {
    EXPECT_EQ(kept(file), kPage) << file;
  }
  for (const char* none : {"inline", "attachments", "inline; filename=\"attachment\"", ""}) {
    EXPECT_EQ(kept(none), kInside) << none;
  }
  for (const auto& [method, status] : {std::pair("HEAD", 200), std::pair("GET", 304)}) {
    http::Response response{.status = status};
    response.headers = {{"Content-Length", "7"}, {"Content-Disposition", "attachment"}};
    if (status == 200) response.headers.add("Content-Type", "application/json");
    keep_links_inside(response, asked(method), origins(), LinkRewriter::Content::kPlain);
    EXPECT_EQ(response.headers.get("Content-Length"), "7") << method;
  }
}

TEST(KeepLinksInside, RewritesLocationsOfAnyAnswerInPlace) {
  http::Response response{.status = 201};
  response.headers = {{"A", "1"},
                      {"location", "HTTPS://graph.microsoft.com:443/v1.0/x"},
                      {"Content-Location", "https://graph.microsoft.com/v1.0/y"},
                      {"Location", "https://contoso.sharepoint.com/z"},
                      {"ETag", "\"https://graph.microsoft.com/\""}};
  keep_links_inside(response, asked("POST"), origins(), LinkRewriter::Content::kPlain);
  std::string all;
  for (const http::Header& field : response.headers) all += field.name + "=" + field.value + ";";
  EXPECT_EQ(all,
            "A=1;location=https://proxy:8443/v1.0/x;"
            "Content-Location=https://proxy:8443/v1.0/y;"
            "Location=https://contoso.sharepoint.com/z;ETag=\"https://graph.microsoft.com/\";");
}

TEST(KeepLinksInside, StreamsWithoutALength) {
  http::Response response = page({{"Content-Type", "application/json"}});
  response.stream = http::string_body(std::string(50'000, ' ') + kPage);
  keep_links_inside(response, asked("GET"), origins(), LinkRewriter::Content::kPlain);
  EXPECT_FALSE(response.stream->remaining());
  const auto content = testing::run(http::read_all(*response.stream, 1'000'000));
  EXPECT_EQ(*content, std::string(50'000, ' ') + kInside);
}

// So that whoever sends it says with its last bytes that they are the last.
TEST(KeepLinksInside, TellsThatAStreamHasEndedOnceAllIsRead) {
  struct Case {
    std::string content;
    std::string inside;
  };
  for (const Case& each :
       {Case{"{}", "{}"}, Case{kPage, kInside},
        // All of the link is held back to the end, and is more than one read takes.
        Case{R"({"@odata.nextLink":"https://graph.microsoft.com"})",
             R"({"@odata.nextLink":"https://proxy:8443"})"}}) {
    http::Response response = page({{"Content-Type", "application/json"}});
    response.stream = http::string_body(each.content);
    keep_links_inside(response, asked("GET"), origins(), LinkRewriter::Content::kPlain);
    std::string all;
    std::array<char, 7> buffer;
    while (!response.stream->remaining()) {
      const Result<std::size_t> read = testing::run(response.stream->read(buffer));
      ASSERT_TRUE(read.ok());
      ASSERT_GT(*read, 0u);
      all.append(buffer.data(), *read);
    }
    EXPECT_EQ(response.stream->remaining(), 0u);
    EXPECT_EQ(all, each.inside);
  }
}

TEST(KeepLinksInside, KeepsTheLengthOfAStreamThatItLeavesAlone) {
  http::Response response = page({{"Content-Type", "text/plain"}});
  response.stream = http::string_body(kPage);
  keep_links_inside(response, asked("GET"), origins(), LinkRewriter::Content::kPlain);
  EXPECT_EQ(response.stream->remaining(), std::string_view(kPage).size());
}

TEST(KeepLinksInside, HandsOnWhatIsHeldBackAtTheEnd) {
  const std::string cut = R"({"@odata.nextLink":"https://graph.micro)";
  http::Response response = page({{"Content-Type", "application/json"}});
  response.stream = http::string_body(cut);
  keep_links_inside(response, asked("GET"), origins(), LinkRewriter::Content::kPlain);
  EXPECT_EQ(*testing::run(http::read_all(*response.stream, 1000)), cut);
}

class BrokenOffBody final : public http::Body {
 public:
  Task<Result<std::size_t>> read(std::span<char>) override {
    co_return Error{ErrorCode::kUnavailable, "closed"};
  }
  std::optional<std::uint64_t> remaining() const override { return 10; }
};

TEST(KeepLinksInside, TakesNoBrokenBodyForWhole) {
  http::Response response = page({{"Content-Type", "application/json"}});
  response.stream = std::make_unique<BrokenOffBody>();
  keep_links_inside(response, asked("GET"), origins(), LinkRewriter::Content::kPlain);
  EXPECT_FALSE(testing::run(http::read_all(*response.stream, 1000)).ok());
}

TEST(KeepLinksInside, TellsNoLengthOfABodyThatItWouldChange) {
  const auto length = [](std::string_view method, int status, const char* type) {
    http::Response response{.status = status};
    response.headers = {{"Content-Length", "7"}};
    if (*type != '\0') response.headers.add("Content-Type", type);
    keep_links_inside(response, asked(std::string(method)), origins(),
                      LinkRewriter::Content::kPlain);
    return std::string(response.headers.get("Content-Length"));
  };
  EXPECT_EQ(length("HEAD", 200, "application/json"), "");
  EXPECT_EQ(length("HEAD", 200, "image/png"), "7");
  EXPECT_EQ(length("HEAD", 200, ""), "7");
  EXPECT_EQ(length("GET", 304, ""), "");
  EXPECT_EQ(length("GET", 304, "image/png"), "7");
}

http::Request request_to(const char* host, bool tls) {
  http::Request request{.head = {.method = "GET", .target = "/"}, .peer = {.tls = tls}};
  if (*host != '\0') request.head.headers.add("Host", host);
  return request;
}

TEST(LinkOriginsOf, BelievesTheHostUnlessToldOtherwise) {
  const auto settings = link_settings("https://graph.microsoft.com", "");
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(link_origins(*settings, request_to("h:1", true))->outside, "https://h:1");
  EXPECT_EQ(link_origins(*settings, request_to("[::1]", false))->outside, "http://[::1]");
  EXPECT_EQ(link_origins(*settings, request_to("", true)).error().code, ErrorCode::kInvalid);
  EXPECT_FALSE(link_origins(*settings, request_to("a\"b", true)).ok());
  const auto told = link_settings("https://graph.microsoft.com", "HTTPS://Proxy.example/");
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(link_origins(*told, request_to("evil", false))->outside, "https://Proxy.example");
  EXPECT_EQ(link_origins(*told, request_to("", true))->outside, "https://Proxy.example");
}

TEST(LinkOriginsOf, KnowsBothSpellingsOfADefaultPort) {
  using Spellings = std::vector<std::string>;
  const auto graph_of = [](const char* upstream) { return link_settings(upstream, "")->graph; };
  EXPECT_EQ(graph_of("https://Graph.Microsoft.com"),
            (Spellings{"https://graph.microsoft.com:443", "https://graph.microsoft.com"}));
  EXPECT_EQ(graph_of("https://localhost:9443"), Spellings{"https://localhost:9443"});
  EXPECT_EQ(graph_of("http://[::1]:80"), (Spellings{"http://[::1]:80", "http://[::1]"}));
  EXPECT_FALSE(link_settings("graph", "").ok());
  EXPECT_FALSE(link_settings("https://graph.microsoft.com", "https://a/b").ok());
}

}  // namespace
}  // namespace holdfast::proxy
