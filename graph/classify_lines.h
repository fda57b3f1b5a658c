// Classifying requests written one JSON object a line, as `holdfast classify --stdin` does.
//
//   in:  {"method":"POST","target":"/v1.0/me/messages/m1/permanentDelete"}
//   out: {"class":"guarded","action":"permanentDelete","resource":"message",
//         "mailbox":{"kind":"me","key":null},"item":"m1","version":"v1.0","reason":"…"}   (one
//         line)
//
// Optional members of the input: "headers", an object of strings or arrays of strings, an array of
// [name, value] pairs, or text with one "name: value" a line; "body", the text of the body, or a
// JSON object or array that is taken as its own text. Pure but for the string written to.
#pragma once

#include <string>
#include <string_view>

#include "graph/classify.h"

namespace holdfast::graph {

// Longer lines are bad input.
constexpr std::size_t kClassifyLineBytesMax = std::size_t{4} << 20;

// Appends the one line for `classification`, newline included. Every key is there, null where there
// is nothing to say; "mailbox" is always an object.
void append_classification(const Classification& classification, std::string& out);

// Classifies one input line (without its newline) and appends the answer. False: the line is no
// such request; what was appended has class rejected and a reason that begins "bad input: ".
bool classify_line(std::string_view line, std::string& out);

}  // namespace holdfast::graph
