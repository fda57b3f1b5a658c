#include "http/origin.h"

#include "base/encoding.h"
#include "http/syntax.h"

namespace holdfast::http {

Result<Origin> parse_origin(std::string_view text) {
  Origin origin;
  const std::size_t end = text.find("://");
  const std::string scheme = ascii_lower(text.substr(0, end));
  std::string_view rest = end == std::string_view::npos ? "" : text.substr(end + 3);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  if ((scheme != "http" && scheme != "https") || !is_authority(rest)) {
    return Error{ErrorCode::kInvalid,
                 "'" + std::string(text) + "' is not an origin like https://graph.microsoft.com"};
  }
  origin.tls = scheme == "https";
  origin.authority = rest;
  const std::size_t bracket = rest.rfind(']');
  const std::size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
  origin.port = origin.tls ? "443" : "80";
  if (colon != std::string_view::npos) origin.port = rest.substr(colon + 1);
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  origin.host = host;
  return origin;
}

}  // namespace holdfast::http
