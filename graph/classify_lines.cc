#include "graph/classify_lines.h"

#include <vector>

#include "base/encoding.h"
#include "base/json.h"
#include "graph/flat_request.h"

namespace holdfast::graph {
namespace {

using nlohmann::json;

struct OwnedHeader {
  std::string name;
  std::string value;
};

struct LineRequest {
  std::string method;
  std::string target;
  std::vector<OwnedHeader> headers;
  std::optional<std::string> body;
};

Error bad(std::string why) {
  return {.code = ErrorCode::kInvalid, .message = std::move(why)};
}

// Bytes that are no UTF-8 cannot be written in JSON: null says that there is nothing readable.
void append_string(std::string_view text, std::string& out) {
  if (is_utf8(text)) {
    append_json_string(out, text);
  } else {
    out += "null";
  }
}

void append_or_null(std::string_view text, std::string& out) {
  if (text.empty()) {
    out += "null";
  } else {
    append_string(text, out);
  }
}

void append_bad_line(std::string_view why, std::string& out) {
  out +=
      R"({"class":"rejected","action":null,"resource":null,"mailbox":{"kind":"none","key":null},)"
      R"("item":null,"version":null,"reason":)";
  append_string("bad input: " + std::string(why), out);
  out += "}\n";
}

Status add_header_lines(std::string_view text, std::vector<OwnedHeader>& headers) {
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line = text.substr(start, end - start);
    start = end + 1;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return bad("\"headers\" has a line without ':'");
    headers.push_back(
        {.name = std::string(line.substr(0, colon)), .value = std::string(line.substr(colon + 1))});
  }
  return {};
}

Status add_header(const std::string& name, const json& value, std::vector<OwnedHeader>& headers) {
  if (value.is_string()) {
    headers.push_back({.name = name, .value = value.get<std::string>()});
    return {};
  }
  if (!value.is_array()) return bad("header \"" + name + "\" must be a string");
  for (const json& each : value) {
    if (!each.is_string()) return bad("header \"" + name + "\" must be a string");
    headers.push_back({.name = name, .value = each.get<std::string>()});
  }
  return {};
}

Status read_headers(const json& value, std::vector<OwnedHeader>& headers) {
  if (value.is_null()) return {};
  if (value.is_string()) return add_header_lines(value.get_ref<const std::string&>(), headers);
  if (value.is_object()) {
    for (const auto& member : value.items()) {
      if (Status status = add_header(member.key(), member.value(), headers); !status.ok()) {
        return status;
      }
    }
    return {};
  }
  if (!value.is_array()) return bad("\"headers\" must be an object");
  for (const json& pair : value) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_string()) {
      return bad("\"headers\" as an array must hold [name, value] pairs");
    }
    if (Status status = add_header(pair[0].get<std::string>(), pair[1], headers); !status.ok()) {
      return status;
    }
  }
  return {};
}

Result<std::string> required_string(const json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return bad("\"" + std::string(name) + "\" is missing");
  if (!found->is_string()) return bad("\"" + std::string(name) + "\" must be a string");
  return found->get<std::string>();
}

Result<LineRequest> read_line(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return bad("the line is empty");
  const Result<json> parsed = parse_json(line);
  if (!parsed.ok()) return bad(parsed.error().message);
  if (!parsed->is_object()) return bad("the line is no JSON object");
  for (const auto& member : parsed->items()) {
    const std::string& key = member.key();
    if (key != "method" && key != "target" && key != "headers" && key != "body") {
      return bad("unknown key \"" + key + "\"");
    }
  }
  LineRequest request;
  Result<std::string> method = required_string(*parsed, "method");
  if (!method.ok()) return method.error();
  Result<std::string> target = required_string(*parsed, "target");
  if (!target.ok()) return target.error();
  request.method = std::move(*method);
  request.target = std::move(*target);
  if (const auto headers = parsed->find("headers"); headers != parsed->end()) {
    if (Status status = read_headers(*headers, request.headers); !status.ok()) {
      return status.error();
    }
  }
  if (const auto body = parsed->find("body"); body != parsed->end() && !body->is_null()) {
    if (body->is_string()) {
      request.body = body->get<std::string>();
    } else if (body->is_structured()) {
      request.body = body->dump();
    } else {
      return bad("\"body\" must be a string");
    }
  }
  return request;
}

}  // namespace

void append_classification(const Classification& classification, std::string& out) {
  static const Operation kNothing;
  const Operation& operation = classification.operation ? *classification.operation : kNothing;
  out += R"({"class":")";
  out += to_string(classification.request_class);
  out += R"(","action":)";
  append_or_null(operation.action, out);
  out += R"(,"resource":)";
  append_or_null(operation.resource, out);
  out += R"(,"mailbox":{"kind":")";
  out += to_string(operation.mailbox.kind);
  out += R"(","key":)";
  append_or_null(operation.mailbox.key, out);
  out += R"(},"item":)";
  append_or_null(operation.item.value_or(std::string()), out);
  out += R"(,"version":)";
  append_or_null(classification.version.value_or(std::string()), out);
  out += R"(,"reason":)";
  append_or_null(classification.reason, out);
  out += "}\n";
}

bool classify_line(std::string_view line, std::string& out) {
  if (line.size() > kClassifyLineBytesMax) {
    append_bad_line("the line is longer than 4 MiB", out);
    return false;
  }
  if (const std::optional<FlatRequest> flat = read_flat_request(line)) {
    append_classification(classify({.method = flat->method,
                                    .target = flat->target,
                                    .headers = flat->headers(),
                                    .body = flat->body}),
                          out);
    return true;
  }
  const Result<LineRequest> request = read_line(line);
  if (!request.ok()) {
    append_bad_line(request.error().message, out);
    return false;
  }
  std::vector<HeaderView> headers;
  for (const OwnedHeader& header : request->headers) {
    headers.push_back({.name = header.name, .value = header.value});
  }
  std::optional<std::string_view> body;
  if (request->body.has_value()) body = *request->body;
  append_classification(
      classify(
          {.method = request->method, .target = request->target, .headers = headers, .body = body}),
      out);
  return true;
}

}  // namespace holdfast::graph
