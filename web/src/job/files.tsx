import { useState } from "preact/hooks";
import type { Job, Schemas } from "../shared/api";
import { Data } from "../shared/data";
import { bytes, counted } from "../shared/format";
import { visibleText } from "../shared/text";
import { download, isPicture, type OutputFile, reasonOf } from "./file_content";
import { limitName, limitText } from "./limits";
import { Picture } from "./picture";

/** Shows the files that a job left: pictures as pictures, and all of them to download. */
export function Files({ job }: { job: Job }) {
  const files = job.files ?? [];
  const omitted = job.files_omitted ?? [];
  if (files.length === 0 && omitted.length === 0) return null;
  const displayed = new Set(job.displays?.flatMap((display) => display.forms.map((form) => form.file)));
  return (
    <div class="files">
      <div class="head">
        <h2>Files</h2>
        <span class="quiet">{counted(files.length, "file")}</span>
      </div>
      {files
        .filter((file) => isPicture(file.media_type) && !displayed.has(file.name))
        .map((file) => (
          <figure key={file.name}>
            <Picture
              source={file}
              type={file.media_type}
              label={`${file.name}, a picture that the job left`}
            />
            <figcaption>
              <Data text={file.name} />
            </figcaption>
          </figure>
        ))}
      <ul class="plain-list">
        {files.map((file) => (
          <FileRow key={file.name} file={file} />
        ))}
      </ul>
      {omitted.length > 0 && <Omitted files={omitted} />}
    </div>
  );
}

function FileRow({ file }: { file: OutputFile }) {
  const [state, setState] = useState<"" | "busy" | "saved">("");
  const [failure, setFailure] = useState("");
  const save = async () => {
    setState("busy");
    setFailure("");
    try {
      await download(file);
      setState("saved");
    } catch (reason) {
      setFailure(reasonOf(reason));
      setState("");
    }
  };
  return (
    <li class="file">
      <span class="mono grow">
        <Data text={file.name} />
      </span>
      <span class="quiet">{bytes(file.size)}</span>
      <span class="quiet">
        <Data text={file.media_type} />
      </span>
      <button
        type="button"
        class="small"
        disabled={state === "busy"}
        aria-label={`Download ${visibleText(file.name)}`}
        onClick={save}
      >
        {state === "saved" ? "Downloaded" : "Download"}
      </button>
      <span class="cut" role="alert">
        {failure}
      </span>
    </li>
  );
}

function Omitted({ files }: { files: Schemas["OmittedFile"][] }) {
  return (
    <>
      <p class="cut">{counted(files.length, "file")} left out:</p>
      <ul class="plain-list">
        {files.map((file, index) => (
          <li key={index} class="file">
            <span class="mono grow">
              <Data text={file.name} />
            </span>
            <span class="quiet">
              {file.size === null ? "" : `${bytes(file.size)}; `}
              {limitName(file.limit.name)}: at most {limitText(file.limit)}
            </span>
          </li>
        ))}
      </ul>
    </>
  );
}
