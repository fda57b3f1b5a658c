#include "graph/walk.h"

#include <algorithm>

#include "base/encoding.h"
#include "graph/fold.h"
#include "graph/target.h"

namespace holdfast::graph {
namespace {

constexpr std::string_view kPermanentDelete = "permanentdelete";
constexpr std::string_view kRecall = "recall";

bool is_action(std::string_view word) {
  return word == kPermanentDelete || word == kRecall;
}

// Words that nothing but case could hide in need no closer look.
bool is_plain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

bool is_graph_namespace(std::string_view qualifier) {
  return qualifier == "microsoft.graph" || qualifier == "graph";
}

bool in_graph_namespace(std::string_view qualifier) {
  return is_graph_namespace(qualifier) || qualifier.starts_with("microsoft.graph.") ||
         qualifier.starts_with("graph.");
}

// microsoft.graph.eventMessage, and not a user called graph.team@contoso.com.
bool is_qualified_name(const SegmentName& name) {
  return in_graph_namespace(name.qualifier) && is_plain(name.word) &&
         std::ranges::all_of(name.qualifier,
                             [](char c) { return c == '.' || is_plain(std::string_view(&c, 1)); });
}

// permanentDelete, microsoft.graph.permanentDelete, graph.permanentDelete(): plainly the action.
bool is_bound_action(const SegmentName& name) {
  return is_action(name.word) && name.arguments.empty() &&
         (name.qualifier.empty() || is_graph_namespace(name.qualifier));
}

bool resembles_action(std::string_view text) {
  return resembles(text, kPermanentDelete) || resembles(text, kRecall);
}

bool has_key(std::string_view text) {
  return text.find_first_of("()'") != std::string_view::npos;
}

// contoso.com, a GUID; not users('ada@contoso.com').
bool is_tenant_like(std::string_view text) {
  return text.find_first_of(".-") != std::string_view::npos && !has_key(text);
}

bool looks_like_version(std::string_view word) {
  if (word.ends_with("beta") || word.ends_with("v1.0")) return true;
  return word.size() >= 2 && word[0] == 'v' && word[1] >= '0' && word[1] <= '9';
}

class Walker {
 public:
  explicit Walker(const std::vector<std::string>& segments) : segments_(segments) {}

  Walk run() {
    operation().canonical_path.reserve(96);
    std::size_t at = read_prefix();
    for (; at < segments_.size() && !done_; ++at) step(at);
    if (result_.ending == Ending::kOrdinary) finish_ordinary();
    return std::move(result_);
  }

 private:
  Operation& operation() { return result_.operation; }

  void end(Ending ending, std::string_view reason = {}) {
    result_.ending = ending;
    result_.reason = reason;
    done_ = true;
  }

  void add_word(std::string_view word) {
    operation().canonical_path += '/';
    operation().canonical_path += word;
  }

  // Ids may hold any character: those that would make two paths look alike are encoded.
  void add_id(std::string_view id) {
    std::string& path = operation().canonical_path;
    path += '/';
    for (const char c : id) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '/' || c == '%' || byte < 0x20 || byte == 0x7F) {
        path += percent_encode(std::string_view(&c, 1));
      } else {
        path += c;
      }
    }
  }

  // Version and tenant. Returns where the walk begins.
  std::size_t read_prefix() {
    if (segments_.empty()) return 0;
    std::size_t at = 0;
    std::string first = ascii_lower(segments_[0]);
    const std::string second = segments_.size() > 1 ? ascii_lower(segments_[1]) : std::string();
    if (looks_like_version(first) ||
        (!is_root(first) && first != "myorganization" && !has_key(first) &&
         (is_root(second) || second == "myorganization" || second == "$batch"))) {
      add_word(first);
      operation().version = std::move(first);
      ++at;
    }
    if (at < segments_.size() && ascii_iequals(segments_[at], "myorganization")) return at + 1;
    // The tenant by name or id, as the older directory API had it.
    if (at + 1 < segments_.size() && is_tenant_like(segments_[at]) &&
        is_root(ascii_lower(segments_[at + 1]))) {
      add_id(segments_[at]);
      return at + 1;
    }
    return at;
  }

  void step(std::size_t at) {
    at_ = at;
    const std::string& text = segments_[at];
    const bool last = at + 1 == segments_.size();
    if (file_path_open_) return step_in_file_path(at, last);
    if (resembles_batch_here(text, at, last)) return;
    if (arity_ != Arity::kSingle && step_at_collection(text, last)) return;
    step_at_single(at, text, last);
  }

  bool resembles_batch_here(const std::string& text, std::size_t at, bool last) {
    if (text.size() < 6 || (arity_ != Arity::kSingle && !last)) return false;
    const bool exact = ascii_iequals(text, "$batch");
    if (exact && last && type_ == EntityType::kRoot) {
      add_word("$batch");
      end(Ending::kBatch);
      return true;
    }
    if (!exact && (is_plain(text) || !resembles_batch(text))) return false;
    end(Ending::kSuspicious, at == 0 || !exact ? "the path could be read as a $batch"
                                               : "$batch is not where a batch is posted");
    return true;
  }

  // A file or folder name between root: and the next colon; the last one closes the path.
  void step_in_file_path(std::size_t at, bool last) {
    const std::string& text = segments_[at];
    // Several such paths in one: what lies between them is as strange as what is in them.
    result_.file_path_last = at + 1;
    add_id(text);
    if (type_ == EntityType::kDriveItem) {
      *operation().item += '/';
      *operation().item += text;
    }
    if (text.ends_with(':')) {
      file_path_open_ = false;
      return;
    }
    if (last && resembles(text, kPermanentDelete)) {
      end(Ending::kSuspicious, "the last segment could be a file's name or permanentDelete");
    }
  }

  // After a collection: a key, unless the segment says otherwise. False: it is no key.
  bool step_at_collection(const std::string& text, bool last) {
    const SegmentName name = parse_name(text);
    if (arity_ == Arity::kMaybeCollection &&
        (last || navigate(EntityType::kOther, name.word).known)) {
      return false;
    }
    if (channel_action(name, text, last)) return true;
    if (is_set_operation(text)) {
      // What follows acts on the members, not on a key.
      arity_ = name.word == "$filter" ? Arity::kCollection : Arity::kSingle;
      set_operation_ = true;
      add_word(text);
      return true;
    }
    if (is_qualified_name(name) && !is_action(name.word)) {
      apply_cast(name);
      return true;
    }
    if (set_operation_ && is_bound_action(name)) return false;
    if (last && (is_bound_action(name) || (!is_plain(text) && resembles_action(text)))) {
      // POST to an entity is never valid, so refusing costs nobody anything.
      end(Ending::kSuspicious, "the last segment could be a key or the action of that name");
      return true;
    }
    take_key({.value = text, .name = ""});
    return true;
  }

  static bool is_set_operation(std::string_view text) {
    return ascii_iequals(text, "$each") || ascii_iequals(text.substr(0, 8), "$filter(");
  }

  void step_at_single(std::size_t at, const std::string& text, bool last) {
    const SegmentName name = parse_name(text);
    if (channel_action(name, text, last)) return;
    if (!last && may_be_key(at)) return follow(at, text, name);
    if (is_bound_action(name)) return end_in_action(name, last);
    // A quoted key is data, whatever is in it.
    const bool quoted = name.parentheses && name.arguments.find('\'') != std::string_view::npos;
    const std::string_view named =
        std::string_view(text).substr(0, quoted ? text.find('(') : text.size());
    if (is_action(name.word) || (!is_plain(named) && resembles_action(named))) {
      return end(Ending::kSuspicious, "a segment could be read as a guarded action");
    }
    if (is_qualified_name(name) && name.arguments.empty()) return apply_cast(name);
    follow(at, text, name);
  }

  // Beyond the tables nobody knows where keys stand: what is not the end of the path may well be a
  // key, whatever it is called. Only $value and its like never follow a key called so.
  bool may_be_key(std::size_t at) const {
    return type_ == EntityType::kOther && at > 0 && !segments_[at + 1].starts_with('$');
  }

  void end_in_action(const SegmentName& name, bool last) {
    const bool deletes = name.word == kPermanentDelete;
    operation().action = deletes ? "permanentDelete" : "recall";
    if (deletes) {
      operation().resource = resource_name(type_);
    } else if (type_ == EntityType::kMessage) {
      operation().resource = "message";
    }
    add_word(name.word);
    if (last) return end(Ending::kAction);
    end(Ending::kSuspicious, "segments follow the action");
  }

  // remediate and purgeData: only where the security API has them.
  bool channel_action(const SegmentName& name, std::string_view text, bool last) {
    const bool email = type_ == EntityType::kAnalyzedEmail;
    if (!email && !(type_ == EntityType::kEdiscoverySearch)) return false;
    const std::string_view word = email ? "remediate" : "purgedata";
    const bool exact = name.word == word && name.arguments.empty() &&
                       (name.qualifier.empty() || in_graph_namespace(name.qualifier) ||
                        name.qualifier == "security");
    if (!exact && !(name.word == word) && (is_plain(text) || !resembles(text, word))) return false;
    operation().action = email ? "remediate" : "purgeData";
    operation().resource = email ? "analyzedEmail" : "ediscoverySearch";
    if (!exact || !last) {
      end(Ending::kSuspicious, "a segment could be read as a guarded action");
      return true;
    }
    add_word(name.word);
    end(email ? Ending::kRemediate : Ending::kPurgeData);
    return true;
  }

  void apply_cast(const SegmentName& name) {
    const EntityType before = type_;
    type_ = cast(type_, name.word);
    // A refining cast names the same thing: no part of the spelling that calls are compared by.
    if (type_ != before) {
      add_word("microsoft.graph." + name.word);
      if (arity_ == Arity::kMaybeCollection) arity_ = Arity::kCollection;
      if (arity_ == Arity::kSingle && !key_.empty()) claim_owner(key_);
    }
    if (!name.arguments.empty()) {
      arity_ = Arity::kCollection;
      take_key(parse_key(name.arguments));
    }
  }

  void take_key(const SegmentKey& key) {
    std::string value = key.value;
    if (type_ == EntityType::kDriveItem || type_ == EntityType::kSite) open_file_path(value);
    arity_ = Arity::kSingle;
    set_operation_ = false;
    add_id(key.name.empty() ? value : key.name + "=" + value);
    if (file_path_open_) begin_file_path(at_, value);
    if (file_path_open_) value += ':';
    claim_owner(value);
    if (type_ == EntityType::kMailFolder || type_ == EntityType::kContactFolder ||
        type_ == EntityType::kOutlookTaskFolder || type_ == EntityType::kMailboxFolder) {
      operation().folder = value;
    }
    if (type_ == EntityType::kExchangeMailbox) result_.exchange_mailbox = true;
    operation().item = value;
    key_ = std::move(value);
  }

  void open_file_path(std::string& text) {
    if (!text.ends_with(':')) return;
    text.pop_back();
    file_path_open_ = true;
  }

  void claim_owner(const std::string& key) {
    if (type_ == EntityType::kUser || type_ == EntityType::kExchangeMailbox) {
      operation().mailbox = {.kind = MailboxKind::kUser, .key = key};
    } else if (type_ == EntityType::kGroup) {
      operation().mailbox = {.kind = MailboxKind::kGroup, .key = key};
    } else {
      return;
    }
    operation().may_be_shared = false;
  }

  void follow(std::size_t at, const std::string& text, const SegmentName& name) {
    std::string word =
        name.qualifier.empty() || is_qualified_name(name) ? name.word : ascii_lower(text);
    if (word.ends_with(':') && (type_ == EntityType::kDrive || type_ == EntityType::kDriveItem ||
                                type_ == EntityType::kSite || type_ == EntityType::kShare)) {
      word.pop_back();
      file_path_open_ = true;
    }
    const bool colon = file_path_open_;
    // items/{id}/:/name is the other spelling of items/{id}:/name.
    if (colon && word.empty()) return begin_file_path(at, operation().item.value_or(""));
    const Navigation next = navigate(type_, word);
    if (!next.known && is_documented_slip(at, word)) return take_nameless_event(text);
    add_word(word);
    set_type(next);
    if (type_ == EntityType::kUser && word == "me") {
      operation().mailbox = {.kind = MailboxKind::kMe, .key = ""};
      operation().may_be_shared = false;
    }
    if (colon) {
      file_path_open_ = type_ == EntityType::kDriveItem || type_ == EntityType::kSite;
      if (file_path_open_) begin_file_path(at, word);
      return;
    }
    if (name.arguments.empty()) return;
    if (next.known && arity_ == Arity::kCollection) return take_key(parse_key(name.arguments));
    operation().canonical_path += '(';
    operation().canonical_path += name.arguments;
    operation().canonical_path += ')';
    if (!next.known) operation().item = parse_key(name.arguments).value;
    arity_ = Arity::kSingle;
  }

  void set_type(const Navigation& next) {
    if (next.ownership == Ownership::kLeave) {
      operation().may_be_shared |= operation().mailbox.kind != MailboxKind::kNone;
      operation().mailbox = {};
    }
    operation().may_be_shared |= next.ownership == Ownership::kShared;
    type_ = next.type;
    arity_ = next.arity;
    operation().item.reset();
    key_.clear();
  }

  void begin_file_path(std::size_t at, std::string_view anchor) {
    file_path_open_ = true;
    result_.file_path_first = at + 1;
    result_.file_path_last = at + 1;
    operation().canonical_path += ':';
    operation().item = std::string(anchor) + ":";
  }

  // The event page documents users/{id}/{eventId}/permanentDelete.
  bool is_documented_slip(std::size_t at, std::string_view word) const {
    if (type_ != EntityType::kUser && type_ != EntityType::kGroup) return false;
    if (at + 2 != segments_.size() || is_owner_property(word)) return false;
    const bool plural = is_plain(word) && navigate(type_, word).arity != Arity::kSingle &&
                        word.find_first_of("0123456789-_") == std::string_view::npos;
    return !plural && parse_name(segments_[at + 1]).word == kPermanentDelete;
  }

  void take_nameless_event(const std::string& text) {
    type_ = EntityType::kEvent;
    arity_ = Arity::kCollection;
    add_word("events");
    take_key({.value = text, .name = ""});
  }

  void finish_ordinary() {
    if (type_ == EntityType::kMailboxItem) operation().resource = "mailboxItem";
  }

  const std::vector<std::string>& segments_;
  Walk result_;
  EntityType type_ = EntityType::kRoot;
  Arity arity_ = Arity::kSingle;
  std::string key_;  // The last one taken, "" after a navigation.
  std::size_t at_ = 0;
  bool set_operation_ = false;  // After $filter or $each.
  bool file_path_open_ = false;
  bool done_ = false;
};

}  // namespace

Walk walk(const std::vector<std::string>& segments) {
  return Walker(segments).run();
}

}  // namespace holdfast::graph
