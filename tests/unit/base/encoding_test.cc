#include "base/encoding.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

using namespace std::string_literals;

TEST(Hex, RoundTripsAndRefusesOddOrForeignText) {
  EXPECT_EQ(to_hex("\x00\x7f\xff"s), "007fff");
  EXPECT_EQ(from_hex("007FfF"), "\x00\x7f\xff"s);
  EXPECT_EQ(from_hex("0"), std::nullopt);
  EXPECT_EQ(from_hex("0g"), std::nullopt);
}

// RFC 4648, section 10.
TEST(Base64, MatchesTheStandardsVectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(to_base64(plain), encoded);
    EXPECT_EQ(from_base64(encoded), plain);
  }
}

TEST(Base64, RefusesEverySecondSpelling) {
  for (const char* text : {"Zg", "Zg=", "Zg===", "Zh==", "Zm8", "Z===", "Zm9v\n", "Zm9-", "="}) {
    EXPECT_EQ(from_base64(text), std::nullopt) << text;
  }
}

TEST(Base64Url, HasNoPaddingAndItsOwnAlphabet) {
  EXPECT_EQ(to_base64url("\xfb\xff"s), "-_8");
  EXPECT_EQ(from_base64url("-_8"), "\xfb\xff"s);
  EXPECT_EQ(from_base64url("+/8"), std::nullopt);
  EXPECT_EQ(from_base64url("-_8="), std::nullopt);
}

TEST(PercentDecode, DecodesOnceAndRefusesBrokenTriplets) {
  EXPECT_EQ(percent_decode("a%2Fb%252F"), "a/b%2F");
  EXPECT_EQ(percent_decode("%00"), "\0"s);
  for (const char* text : {"%", "%2", "%2g", "a%"}) {
    EXPECT_EQ(percent_decode(text), std::nullopt) << text;
  }
}

TEST(PercentEncode, LeavesOnlyUnreservedCharacters) {
  EXPECT_EQ(percent_encode("a-._~/@ é"), "a-._~%2F%40%20%C3%A9");
}

TEST(AsciiCase, LeavesOtherBytesAlone) {
  EXPECT_EQ(ascii_lower("ÄBC"), "Äbc");
  EXPECT_TRUE(ascii_iequals("ReCall", "rEcALL"));
  EXPECT_FALSE(ascii_iequals("recall", "recal"));
}

TEST(Utf8, AcceptsOnlyShortestFormsOfScalarValues) {
  for (const char* good : {"", "a", "é", "€", "\U0001F512", "\xED\x9F\xBF", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(is_utf8(good)) << good;
  }
  for (const char* bad :
       {"\x80", "\xC0\xAF", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\xC3("}) {
    EXPECT_FALSE(is_utf8(bad)) << to_hex(bad);
  }
}

TEST(ToText, HoldsWhatARecordCan) {
  EXPECT_EQ(to_text("é\0\n\x7f"s), "é???");
  EXPECT_EQ(to_text("\xC3\xA9\xFF a"), "??? a");
  EXPECT_EQ(to_text("aé", 2), "a?") << "a cut character is no character";
}

}  // namespace
}  // namespace holdfast
