/** Returns bytes in base64 with padding. */
export function toBase64(content: Uint8Array): string {
  let binary = "";
  for (let from = 0; from < content.length; from += 0x8000) {
    binary += String.fromCharCode(...content.subarray(from, from + 0x8000));
  }
  return btoa(binary);
}

/** Returns the bytes of a text in base64. Throws a DOMException if it is none. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
