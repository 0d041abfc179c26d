// The address that a name makes. The server makes the same where it is given none (taxonomy/names.py); one
// table of names tests both.

const LONGEST = 63;
// Letters that no Unicode decomposition turns into plain ones.
const PLAIN = {
  ø: "o", æ: "ae", œ: "oe", ł: "l", đ: "d", ð: "d", þ: "th", ħ: "h", ŧ: "t", ŋ: "ng", ɨ: "i", ƀ: "b", ɓ: "b", ɗ: "d",
  ƒ: "f", ǥ: "g", ƙ: "k", ɲ: "n", ƿ: "w", ʉ: "u", ƶ: "z", ə: "e", ɛ: "e", ɔ: "o", ĸ: "k", ȷ: "j", ⱥ: "a", ȼ: "c", ɇ: "e",
  ɉ: "j", ɏ: "y",
};

// Nothing for a name without a Latin letter or digit: that one's address is the server's to make.
export const slugOf = (name) =>
  [...name.toUpperCase().toLowerCase()].map((letter) => PLAIN[letter] ?? letter).join("")
    .normalize("NFKD").replace(/[\p{Mn}'’]/gu, "").toLowerCase()
    .replace(/[^a-z0-9]+/g, "-").replace(/^-/, "").slice(0, LONGEST).replace(/-$/, "");
