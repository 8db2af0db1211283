/** Copies text. Reports whether the browser did. */
export async function copyText(text: string): Promise<boolean> {
  try {
    // Missing on pages without TLS that are not of this machine.
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** Copies by the selection, as browsers did before they had navigator.clipboard. */
function copySelected(text: string): boolean {
  const focused = document.activeElement as HTMLElement | null;
  const field = document.createElement("textarea");
  field.className = "hidden-text";
  field.value = text;
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    focused?.focus();
  }
}
