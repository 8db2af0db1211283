import { render } from "preact";
import { runClock } from "./clock";
import { Console } from "./page";
import { followFragment } from "./route";

followFragment();
runClock();
render(<Console />, document.getElementById("page") as HTMLElement);
