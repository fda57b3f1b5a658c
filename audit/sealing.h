// Personal values taken out of a record, so that they can be erased while the record stays: what is
// taken for one person goes into a sealed document, and the record names the document's SHA-256
// (docs/audit_format.md). Which values are personal, and whose, is one table in sealing.cc.
//
//   std::vector<SealedDocument> documents = seal(content);   // content has `sealed` now
//   open_with(content, 0, documents[0].bytes);               // and its values again
//
// Pure but for the salts. Safe from any thread.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::audit {

struct SealedDocument {
  std::vector<std::string> names;  // Of the person that it is about; never empty.
  std::string bytes;               // {"salt","values"}, as canonical JSON.
  bool operator==(const SealedDocument&) const = default;
};

// Which part of a record is of the person who is sealed.
enum class SealedPart {
  kAll,      // A record of a call.
  kMailbox,  // An officer's decision on a call: officers stay named, whose mailbox it is does not.
};

// Takes the values out of a record's content and names their documents in its member `sealed`: that
// of the actor first, then that of the mailbox where it is somebody else's. Without any, nothing is
// changed. The content must be such as canonical_json() takes, but for a value that has no place in
// a document, which stays.
std::vector<SealedDocument> seal(nlohmann::json& content, SealedPart part = SealedPart::kAll);

// Puts the values of its document at `place` back, each where the object that it belongs in is. A
// document that is not the one named there changes nothing: false.
bool open_with(nlohmann::json& content, std::size_t place, std::string_view document);

// A document as the database has it.
struct FoundDocument {
  std::string bytes;  // Empty: it cannot be read.
  bool erased = false;
};

// Those of a record as the database's open_documents() tells of them, by place; none where the text
// is not such.
std::vector<FoundDocument> found_documents(std::string_view text);

// What is wrong with the documents of an entry; empty: nothing. An erased one may be any.
std::string documents_fault(std::string_view entry, const std::vector<FoundDocument>& documents);

}  // namespace holdfast::audit
