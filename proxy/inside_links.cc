#include "proxy/inside_links.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/encoding.h"
#include "http/origin.h"
#include "http/syntax.h"
#include "proxy/forwarding.h"

namespace holdfast::proxy {
namespace {

using graph::LinkRewriter;

std::string url_of(bool tls, std::string_view authority) {
  return (tls ? "https://" : "http://") + std::string(authority);
}

// How an origin may spell itself.
std::vector<std::string> spellings(const http::Origin& origin) {
  std::string host = ascii_lower(origin.host);
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  std::vector<std::string> all = {url_of(origin.tls, host + ":" + origin.port)};
  if (origin.port == (origin.tls ? "443" : "80")) all.push_back(url_of(origin.tls, host));
  return all;
}

bool is_json(const http::Headers& headers) {
  if (headers.count("Content-Type") != 1) return false;
  const std::string_view value = headers.get("Content-Type");
  const std::string type = ascii_lower(http::trim(value.substr(0, value.find(';'))));
  return type == "application/json" || type.ends_with("+json");
}

bool is_encoded(const http::Headers& headers) {
  const std::string coding = headers.joined("Content-Encoding");
  return !coding.empty() && !ascii_iequals(coding, "identity");
}

// Sent to be kept as a file, whatever its target is called.
bool is_attachment(const http::Headers& headers) {
  return std::ranges::any_of(headers, [](const http::Header& field) {
    if (!ascii_iequals(field.name, "Content-Disposition")) return false;
    const std::string_view value = field.value;
    return ascii_iequals(http::trim(value.substr(0, value.find(';'))), "attachment");
  });
}

bool is_whole_json(const http::Response& response) {
  const http::Headers& headers = response.headers;
  return response.status != 206 && is_json(headers) && !is_encoded(headers) &&
         !http::list_contains(headers.joined("Cache-Control"), "no-transform");
}

class RewrittenBody final : public http::Body {
 public:
  RewrittenBody(std::unique_ptr<http::Body> source, LinkRewriter rewriter)
      : source_(std::move(source)), rewriter_(std::move(rewriter)) {}

  Task<Result<std::size_t>> read(std::span<char> buffer) override {
    for (;;) {
      if (const std::size_t copied = ready_.copy(buffer.data(), buffer.size(), position_)) {
        position_ += copied;
        co_return copied;
      }
      ready_.clear();
      position_ = 0;
      if (ended_ || buffer.empty()) co_return std::size_t{0};
      Result<std::size_t> read = co_await source_->read(buffer);
      if (!read.ok()) co_return read;
      const bool same = rewriter_.take({buffer.data(), *read}, ready_);
      ended_ = *read == 0 || source_->remaining() == 0;
      if (ended_) ready_ += rewriter_.finish();
      if (same) co_return read;
    }
  }

  // Known when all has been read, and not before.
  std::optional<std::uint64_t> remaining() const override {
    if (!ended_ || position_ < ready_.size()) return std::nullopt;
    return 0;
  }

 private:
  const std::unique_ptr<http::Body> source_;
  LinkRewriter rewriter_;
  std::string ready_;  // Rewritten and not read yet, from position_ on.
  std::size_t position_ = 0;
  bool ended_ = false;
};

std::string rewritten(const std::string& content, LinkRewriter rewriter) {
  std::string out;
  if (rewriter.take(content, out)) return content;
  return out + rewriter.finish();
}

bool is_link(const http::Header& field) {
  return ascii_iequals(field.name, "Location") || ascii_iequals(field.name, "Content-Location");
}

void rewrite_headers(http::Headers& headers, const graph::LinkOrigins& origins) {
  if (std::ranges::none_of(headers, is_link)) return;
  http::Headers inside;
  inside.reserve(headers.size());
  for (const http::Header& field : headers) {
    inside.add(field.name, is_link(field) ? graph::inside_link(field.value, origins) : field.value);
  }
  headers = std::move(inside);
}

}  // namespace

Result<LinkSettings> link_settings(const std::string& upstream, const std::string& public_origin) {
  const Result<http::Origin> graph = http::parse_origin(upstream);
  if (!graph.ok()) return graph.error();
  LinkSettings settings{.graph = spellings(*graph), .outside = {}};
  if (public_origin.empty()) return settings;
  const Result<http::Origin> outside = http::parse_origin(public_origin);
  if (!outside.ok()) return outside.error();
  settings.outside = url_of(outside->tls, outside->authority);
  return settings;
}

Result<graph::LinkOrigins> link_origins(const LinkSettings& settings,
                                        const http::Request& request) {
  std::string outside = settings.outside;
  if (outside.empty()) {
    const std::string_view host = request.head.headers.get("Host");
    if (!http::is_authority(host)) {
      return Error{ErrorCode::kInvalid,
                   "The request has no Host, so nobody knows where the links of Graph's answer "
                   "could lead but out: send one, or have proxy.public_origin configured."};
    }
    outside = url_of(request.peer.tls, host);
  }
  return graph::LinkOrigins{.graph = settings.graph, .outside = std::move(outside)};
}

void keep_links_inside(http::Response& response, const http::RequestHead& asked,
                       const graph::LinkOrigins& origins, LinkRewriter::Content content) {
  rewrite_headers(response.headers, origins);
  if (asks_for_bytes(asked.target) || is_attachment(response.headers)) return;
  const bool described_only = asked.method == "HEAD" || response.status == 304;
  if (described_only) {
    // The body that it describes would be rewritten, and how long it is then nobody knows. A 304
    // need not say what type that body has.
    const bool json = is_whole_json(response) ||
                      (response.status == 304 && response.headers.count("Content-Type") == 0);
    if (json) response.headers.remove("Content-Length");
    return;
  }
  if (!is_whole_json(response)) return;
  LinkRewriter rewriter(origins, content);
  if (response.stream) {
    response.stream =
        std::make_unique<RewrittenBody>(std::move(response.stream), std::move(rewriter));
  } else {
    response.content = rewritten(response.content, std::move(rewriter));
  }
}

}  // namespace holdfast::proxy
