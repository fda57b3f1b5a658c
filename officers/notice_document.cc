#include "officers/notice_document.h"

#include <utility>
#include <vector>

#include "base/crypto.h"
#include "base/encoding.h"
#include "base/json.h"

namespace holdfast::officers {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

std::string dump(const json& body) {
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

// The members of `from` by those names, where it has them.
json some_of(const json& from, std::initializer_list<const char*> names) {
  json chosen = json::object();
  for (const char* name : names) {
    if (from.contains(name)) chosen[name] = from.at(name);
  }
  return chosen;
}

std::string link_of(const approval::Notice& notice, const WebhookTarget& target,
                    const NoticeLinks& links) {
  const bool is_review = notice.event == "break_glass" || notice.event == "review_overdue" ||
                         notice.event == "reviewed";
  if (is_review) {
    if (links.audit.empty() || !target.app.empty()) return {};
    return links.audit + "/api/v1/reviews/" + notice.code;
  }
  if (!target.app.empty()) {
    return links.proxy.empty() ? "" : links.proxy + "/holdfast/approvals/" + notice.code;
  }
  return links.audit.empty() ? "" : links.audit + "/api/v1/approvals/" + notice.code;
}

std::string json_document(const approval::Notice& notice, const std::string& link) {
  const json operation = notice.filing.value("operation", json::object());
  json document = {{"v", kVersion},
                   {"id", notice.code + "." + std::to_string(notice.position)},
                   {"event", notice.event},
                   {"at", to_rfc3339(notice.at)},
                   {"code", notice.code},
                   {"state", notice.state},
                   {"requested_by", text_at(notice.filing, "/requested_by/name")},
                   {"requester", text_at(notice.filing, "/requester")},
                   {"operation", some_of(operation, {"action", "resource", "mailbox"})}};
  if (notice.filing.contains("stages")) {
    document["stages"] = json::array();
    for (const json& stage : notice.filing.at("stages")) {
      document["stages"].push_back(some_of(stage, {"from", "count"}));
    }
  }
  if (notice.filing.contains("rules")) document["rules"] = notice.filing.at("rules");
  for (const char* name : {"justification", "ticket"}) {
    const std::string text = text_at(notice.filing, (std::string("/request/") + name).c_str());
    if (!text.empty()) document[name] = text;
  }
  if (!notice.until.empty()) document["until"] = notice.until;
  if (const std::string by = text_at(notice.content, "/by/name"); !by.empty()) document["by"] = by;
  for (const char* name : {"comment", "finding", "reason", "replaced_by"}) {
    if (notice.content.contains(name)) document[name] = notice.content.at(name);
  }
  if (!link.empty()) document["link"] = link;
  return dump(document);
}

std::string title_of(const approval::Notice& notice) {
  if (notice.event == "pending") return "Approval needed";
  if (notice.event == "break_glass") return "Glass broken: a call went past its approval";
  if (notice.event == "review_overdue") return "Review of a call past its approval is overdue";
  if (notice.event == "reviewed") return "Call past its approval was reviewed";
  if (notice.event != "expiring") return "Approval " + notice.event;
  return notice.state == "PENDING" ? "Approval about to expire undecided"
                                   : "Approval about to expire unused";
}

std::string mailbox_of(const json& filing) {
  std::string key = text_at(filing, "/operation/mailbox/key");
  if (!key.empty()) return key;
  const std::string name = text_at(filing, "/operation/mailbox/names/0");
  return name.empty() ? text_at(filing, "/operation/mailbox/kind") : name;
}

// What people read, in words: pairs of a title and a text that is not empty.
using Facts = std::vector<std::pair<std::string, std::string>>;

Facts facts_of(const approval::Notice& notice) {
  std::string requester = text_at(notice.filing, "/requested_by/name");
  if (requester.empty()) requester = text_at(notice.filing, "/requester");
  const Facts all = {{"Call", text_at(notice.filing, "/operation/action")},
                     {"Of", text_at(notice.filing, "/operation/resource")},
                     {"Mailbox", mailbox_of(notice.filing)},
                     {"Asked for by", requester},
                     {"Justification", text_at(notice.filing, "/request/justification")},
                     {"Ticket", text_at(notice.filing, "/request/ticket")},
                     {"By", text_at(notice.content, "/by/name")},
                     {"Comment", text_at(notice.content, "/comment")},
                     {"Finding", text_at(notice.content, "/finding")},
                     {"Reason", text_at(notice.content, "/reason")},
                     {"Until", notice.until},
                     {"Code", notice.code}};
  Facts facts;
  for (const auto& fact : all) {
    if (!fact.second.empty()) facts.push_back(fact);
  }
  return facts;
}

// Slack reads & < > as the beginnings of links and mentions; one line stays one line.
std::string slack_text(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += c == '\n' || c == '\r' ? ' ' : c;
    }
  }
  return escaped;
}

std::string slack_document(const approval::Notice& notice, const std::string& link) {
  std::string text = title_of(notice);
  for (const auto& [title, value] : facts_of(notice)) {
    text += "\n" + title + ": " + slack_text(value);
  }
  if (!link.empty()) text += "\n<" + link + ">";
  // Without markup, and without making links of what looks like one.
  return dump({{"mrkdwn", false}, {"parse", "none"}, {"text", text}, {"unfurl_links", false}});
}

// An adaptive card. Runs of text in a RichTextBlock are shown as they are, other text is Markdown.
std::string teams_document(const approval::Notice& notice, const std::string& link) {
  const auto block = [](const std::string& title, const std::string& text) {
    json inlines = json::array({{{"type", "TextRun"},
                                 {"text", title + (text.empty() ? "" : ": ")},
                                 {"weight", "Bolder"}}});
    if (!text.empty()) inlines.push_back({{"type", "TextRun"}, {"text", text}});
    return json{{"type", "RichTextBlock"}, {"inlines", std::move(inlines)}};
  };
  json body = json::array({block(title_of(notice), "")});
  for (const auto& [title, value] : facts_of(notice)) body.push_back(block(title, value));
  json card = {{"$schema", "http://adaptivecards.io/schemas/adaptive-card.json"},
               {"type", "AdaptiveCard"},
               {"version", "1.2"},
               {"body", std::move(body)}};
  if (!link.empty()) {
    card["actions"] = json::array({{{"type", "Action.OpenUrl"}, {"title", "Show"}, {"url", link}}});
  }
  return dump(
      {{"type", "message"},
       {"attachments", json::array({{{"contentType", "application/vnd.microsoft.card.adaptive"},
                                     {"content", std::move(card)}}})}});
}

}  // namespace

bool is_for(const approval::Notice& notice, const WebhookTarget& target) {
  if (target.app.empty()) return true;
  const std::string app =
      text_at(notice.filing, "/actor/tenant") + "/" + text_at(notice.filing, "/actor/app");
  return ascii_iequals(app, target.app);
}

std::string notice_document(const approval::Notice& notice, const WebhookTarget& target,
                            const NoticeLinks& links) {
  approval::Notice told = notice;
  if (!target.app.empty()) {
    told.content.erase("by");
    told.content.erase("comment");
    told.content.erase("finding");
  }
  const std::string link = link_of(told, target, links);
  switch (target.format) {
    case WebhookFormat::kTeams:
      return teams_document(told, link);
    case WebhookFormat::kSlack:
      return slack_document(told, link);
    case WebhookFormat::kJson:
      break;
  }
  return json_document(told, link);
}

std::string notice_signature(std::string_view secret, std::int64_t time_s, std::string_view body) {
  const std::string time = std::to_string(time_s);
  return "t=" + time + ",v1=" + to_hex(hmac_sha256(secret, time + "." + std::string(body)));
}

}  // namespace holdfast::officers
