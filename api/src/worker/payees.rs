//! Whose account at the provider a report is about, where it does not say so itself.

use adapters::postgres::document::{self, Visible};
use domain::log::StoreError;
use domain::party;
use domain::ports::provider::ProviderReport;

use crate::app::App;

/// The report, with the party whose account it is: accounts that were linked carry no id of ours, and one that has ended
/// tells nothing at all.
pub(super) async fn named(app: &App, report: ProviderReport) -> Result<ProviderReport, StoreError> {
    let ProviderReport::Account(mut account) = report else { return Ok(report) };
    if account.party_id.is_none() {
        let place = ["payout_account", "psp_account"];
        let id = &account.status.psp_account;
        let stream = document::holding(app.pool(), party::TYPE, &place, id, Visible::ToStaff).await?;
        account.party_id = stream.and_then(|stream| stream.aggregate_id.parse().ok());
    }
    Ok(ProviderReport::Account(account))
}
