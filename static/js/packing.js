// Packs paths into a text that may stand behind the # of a link, squeezed where the browser can, and unpacks it.

const SQUEEZED = "z", PLAIN = "p";
const SLASH = String.fromCharCode(47);

const through = async (bytes, stream) => {
  const body = new Blob([bytes]).stream().pipeThrough(stream);
  return new Uint8Array(await new Response(body).arrayBuffer());
};

// Returns the text; null where it would be longer than `most` characters.
export const pack = async (paths, most) => {
  const bytes = new TextEncoder().encode(paths.join("\n"));
  const squeezes = "CompressionStream" in window;
  const body = squeezes ? await through(bytes, new CompressionStream("deflate-raw")) : bytes;
  if (body.length > most) return null;
  const text = btoa(String.fromCharCode(...body)).replaceAll("+", "-").replaceAll(SLASH, "_").replaceAll("=", "");
  return text.length < most ? `${squeezes ? SQUEEZED : PLAIN}${text}` : null;
};

export const isPacked = (text) => [SQUEEZED, PLAIN].includes(text[0]);

// Returns what was packed, which may be anything; throws where it is damaged.
export const unpack = async (text) => {
  const bare = atob(text.slice(1).replaceAll("-", "+").replaceAll("_", SLASH));
  const body = Uint8Array.from(bare, (character) => character.charCodeAt(0));
  const bytes = text[0] === PLAIN ? body : await through(body, new DecompressionStream("deflate-raw"));
  return new TextDecoder("utf-8", { fatal: true }).decode(bytes).split("\n");
};
